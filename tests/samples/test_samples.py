"""The samples that need only a section each; the larger ones have a file of their own."""

import hashlib
import importlib
import locale
import os
import pkgutil
import subprocess
import sys
import tarfile
from collections import namedtuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import sample_workers
from sample_workers import system_settings as settings_module
from sample_workers.archive import archive
from sample_workers.disk_usage import disk_usage
from sample_workers.flaky import flaky
from sample_workers.hash_file import hash_file
from sample_workers.network_interfaces import network_interfaces
from sample_workers.process_list import process_list
from sample_workers.read_file import BLOCK, read_file
from sample_workers.sleep import sleep
from sample_workers.system_settings import system_settings
from tasky import files as files_module
from tasky.cancel import Cancelled, Reason, Token
from tasky.errors import ConfigInvalid, FileProblem, PathRefused
from tasky.worker import Context, TaskInfo, spec_of

if TYPE_CHECKING:
    from tests.samples.conftest import RecordingLine

NAMES = sorted(found.name for found in pkgutil.iter_modules(sample_workers.__path__))


def _spec(name: str) -> Any:
    return spec_of(getattr(importlib.import_module(f"sample_workers.{name}"), name))


# -- all of them ---------------------------------------------------------------------------------


def test_the_samples_are_those_of_the_contract() -> None:
    assert {name: _spec(name).schema.usage(name).partition(":")[0] for name in NAMES} == {
        "archive": "archive(source, target)",
        "copy_file": "copy_file(source, target, overwrite=false)",
        "disk_usage": "disk_usage(path, depth=1)",
        "flaky": "flaky(rate=0.5, seconds=0)",
        "hash_file": 'hash_file(path, algorithm="sha256")',
        "http_check": "http_check(url, timeout_s=10, expect_status=200)",
        "network_interfaces": "network_interfaces()",
        "process_list": 'process_list(sort="cpu", limit=20)',
        "read_file": 'read_file(path, offset=0, limit=null, encoding="utf-8")',
        "sleep": "sleep(seconds=1, steps=10)",
        "system_settings": "system_settings(section=null)",
        "tail_file": "tail_file(path, lines=10)",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_a_worker_that_obeys_and_describes_itself(name: str) -> None:
    spec = _spec(name)

    assert spec.name == name
    assert spec.supports == ("cancel", "pause", "kill")
    assert spec.schema.title.endswith(".")
    assert all(field.description for field in spec.schema.fields)
    spec.schema.check(spec.schema.sample)


def test_only_those_that_read_start_again_after_a_crash() -> None:
    assert {name for name in NAMES if _spec(name).idempotent} == {
        "disk_usage",
        "hash_file",
        "http_check",
        "network_interfaces",
        "process_list",
        "read_file",
        "system_settings",
    }


def test_the_samples_load_without_the_libraries_that_one_of_them_needs() -> None:
    imports = "; ".join(f"import sample_workers.{name}" for name in NAMES)
    code = f"import sys; sys.modules['psutil'] = None; {imports}"

    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("process_list", {"sort": "size"}),
        ("process_list", {"limit": 0}),
        ("disk_usage", {"path": ".", "depth": -1}),
        ("hash_file", {"path": "a", "algorithm": "md5"}),
        ("tail_file", {"path": "a", "lines": -1}),
        ("http_check", {"url": "http://a", "timeout_s": 0}),
        ("http_check", {"url": "http://a", "expect_status": 99}),
        ("sleep", {"seconds": -1}),
        ("sleep", {"steps": 0}),
        ("flaky", {"rate": 1.5}),
        ("system_settings", {"section": "passwords"}),
        ("read_file", {"path": "a", "limit": -1}),
    ],
)
def test_a_config_out_of_bounds_is_refused(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid):
        _spec(name).schema.check(config)


# -- read_file -----------------------------------------------------------------------------------


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("0123456789äöü", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ({}, "0123456789äöü"),
        ({"offset": 3, "limit": 4}, "3456"),
        ({"offset": 100}, ""),
        ({"limit": 0}, ""),
        ({"offset": -4}, "öü"),
        ({"offset": -4, "limit": 2}, "ö"),
        ({"offset": -100, "limit": 2}, "01"),
        ({"limit": 11}, "0123456789"),
        ({"offset": 11}, "öü"),
        ({"encoding": "latin-1", "offset": 10, "limit": 2}, "Ã¤"),
        ({"encoding": "binary", "offset": 10, "limit": 2}, "ä".encode()),
        ({"encoding": "ascii"}, "0123456789äöü".encode()),
    ],
)
@pytest.mark.usefixtures("text")
def test_a_part_of_a_file_is_text_or_bytes(
    ctx: Context, part: dict[str, Any], read: str | bytes
) -> None:
    assert read_file(ctx, Path("text"), **part) == read


def test_what_is_no_text_comes_as_bytes(ctx: Context, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10
    (tmp_path / "data").write_bytes(data)

    assert read_file(ctx, Path("data")) == data
    assert read_file(ctx, Path("data"), offset=100, limit=100) == data[100:200]


@pytest.mark.usefixtures("text")
@pytest.mark.parametrize("encoding", ["klingon", "zlib", "rot13", "base64"])
def test_what_is_no_text_encoding_is_refused(ctx: Context, encoding: str) -> None:
    with pytest.raises(ValueError, match="no text encoding"):
        read_file(ctx, Path("text"), encoding=encoding)


def test_a_file_too_large_for_an_output_is_to_be_read_in_parts(
    ctx: Context, tmp_path: Path
) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(10**12)

    with pytest.raises(FileProblem, match="Give a limit"):
        read_file(ctx, Path("large"))
    assert read_file(ctx, Path("large"), offset=-3, encoding="binary") == b"\0" * 3


# -- hash_file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha3_256", "blake2b"])
def test_a_hash_is_that_of_the_whole_file(
    ctx: Context, tmp_path: Path, line: "RecordingLine", algorithm: Any
) -> None:
    data = os.urandom(BLOCK + 1)
    (tmp_path / "data").write_bytes(data)

    output = hash_file(ctx, Path("data"), algorithm)

    assert output["hash"] == hashlib.new(algorithm, data).hexdigest()
    assert output["bytes"] == len(data)
    assert line.checkpoints == ["block 1", "block 2"]
    assert line.reports[-1] == (len(data), len(data), "B")


# -- disk_usage ----------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with a hard link, and symbolic links out of it and in circles."""
    outside = tmp_path_factory.mktemp("outside") / "large"
    outside.write_bytes(b"x" * 1_000_000)
    top = tmp_path / "tree"
    (top / "a" / "deep").mkdir(parents=True)
    (top / "b").mkdir()
    (top / "a" / "deep" / "file").write_bytes(b"x" * 100_000)
    (top / "b" / "file").write_bytes(b"x" * 20_000)
    (top / "b" / "hard").hardlink_to(top / "a" / "deep" / "file")
    (top / "b" / "link").symlink_to(outside)
    (top / "a" / "loop").symlink_to(top)
    return top


def _allocated(*paths: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in paths)


@pytest.mark.usefixtures("tree")
def test_disk_usage_counts_hard_links_once_and_follows_no_link(ctx: Context, tree: Path) -> None:
    output = disk_usage(ctx, Path("tree"))
    all_but_the_second_name = [p for p in tree.rglob("*") if p.name != "hard"]

    assert output["bytes"] == _allocated(tree, *all_but_the_second_name)
    assert (output["files"], output["directories"], output["errors"]) == (5, 3, 0)


def test_disk_usage_lists_directories_down_to_the_depth(ctx: Context, tree: Path) -> None:
    flat, one, two = (disk_usage(ctx, tree, depth)["largest"] for depth in range(3))

    assert flat == []
    assert {row["path"] for row in one} == {"a", "b"}
    assert {row["path"] for row in two} == {"a", "b", "a/deep"}
    assert one == sorted(one, key=lambda row: -row["bytes"])


def test_disk_usage_counts_what_cannot_be_read_and_goes_on(
    ctx: Context, tree: Path, line: "RecordingLine", monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = files_module._listing

    def refuse(root: str, rest: str) -> Any:
        if rest.endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return listing(root, rest)

    monkeypatch.setattr(files_module, "_listing", refuse)
    output = disk_usage(ctx, tree)

    assert output["errors"] == 1
    assert output["files"] == 4
    assert "a/deep: [Errno 13] Permission denied" in line.lines


def test_disk_usage_obeys_a_cancel(
    ctx: Context, tree: Path, token: Token, line: "RecordingLine"
) -> None:
    token.cancel(Reason.USER)

    with pytest.raises(Cancelled):
        disk_usage(ctx, tree)
    assert len(line.reports) == 1


# -- archive -------------------------------------------------------------------------------------


def test_an_archive_has_the_files_and_directories_and_no_links(
    ctx: Context, tree: Path, tmp_path: Path, line: "RecordingLine"
) -> None:
    output = archive(ctx, Path("tree"), Path("tree.tar.gz"))

    with tarfile.open(tmp_path / "tree.tar.gz") as tar:
        assert set(tar.getnames()) == {
            "tree",
            "tree/a",
            "tree/a/deep",
            "tree/a/deep/file",
            "tree/b",
            "tree/b/file",
            "tree/b/hard",
        }
        packed = tar.extractfile("tree/b/file")
        assert packed is not None
        assert packed.read() == (tree / "b" / "file").read_bytes()
    assert (output["members"], output["left_out"]) == (7, 2)
    assert output["bytes"] == (tmp_path / "tree.tar.gz").stat().st_size
    assert any("loop is left out" in text for text in line.lines)


def test_a_single_file_can_be_packed(ctx: Context, text: Path, tmp_path: Path) -> None:
    archive(ctx, text, Path("text.tar.gz"))

    with tarfile.open(tmp_path / "text.tar.gz") as tar:
        member = tar.extractfile("text")
        assert member is not None
        assert member.read() == text.read_bytes()


def test_an_archive_does_not_pack_itself(ctx: Context, tree: Path) -> None:
    output = archive(ctx, tree, tree / "own.tar.gz")

    assert output["members"] == 7


def test_a_cancelled_archive_leaves_nothing(
    ctx: Context, tree: Path, tmp_path: Path, token: Token, line: "RecordingLine"
) -> None:
    cancel = partial(token.cancel, Reason.USER)
    line.on_checkpoint = lambda name: cancel() if name.startswith("block") else None

    with pytest.raises(Cancelled):
        archive(ctx, tree, Path("new.tar.gz"))

    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_an_archive_stays_within_the_roots_and_replaces_nothing(
    ctx: Context, tree: Path, text: Path
) -> None:
    with pytest.raises(PathRefused):
        archive(ctx, Path("/etc"), Path("new.tar.gz"))
    with pytest.raises(PathRefused):
        archive(ctx, tree, Path("../new.tar.gz"))
    with pytest.raises(FileProblem, match="exists already"):
        archive(ctx, tree, text)


def test_a_file_that_becomes_shorter_meanwhile_is_filled_up(
    ctx: Context, tmp_path: Path, line: "RecordingLine"
) -> None:
    (tmp_path / "data").write_bytes(b"x" * 100_000)
    shorten = partial(os.truncate, tmp_path / "data", 50_000)
    line.on_checkpoint = lambda _: shorten()

    archive(ctx, Path("data"), Path("data.tar.gz"))

    with tarfile.open(tmp_path / "data.tar.gz") as tar:
        assert tar.getmember("data").size == 100_000
    assert any("became shorter" in text for text in line.lines)


# -- sleep and flaky -----------------------------------------------------------------------------


def test_sleep_reports_each_step(ctx: Context, line: "RecordingLine") -> None:
    assert sleep(ctx, seconds=0, steps=3) == {"slept_s": 0, "steps": 3}
    assert line.checkpoints == ["step 1", "step 2", "step 3"]
    assert line.reports == [(1, 3, "steps"), (2, 3, "steps"), (3, 3, "steps")]


def test_sleep_obeys_a_cancel_in_the_middle_of_a_step(ctx: Context, token: Token) -> None:
    token.pause()  # it stands still first, so the cancel comes while it runs
    line: Any = ctx._line
    line.on_paused = partial(token.cancel, Reason.USER)

    with pytest.raises(Cancelled):
        sleep(ctx, seconds=1000)


def test_sleep_goes_on_after_a_pause(ctx: Context, token: Token, line: "RecordingLine") -> None:
    line.on_checkpoint = lambda name: token.pause() if name == "step 2" else None
    line.on_paused = token.resume

    sleep(ctx, seconds=0, steps=4)

    assert line.pauses == 1
    assert line.checkpoints[-1] == "step 4"


def _attempt(line: "RecordingLine", number: int, task: str = "t1") -> Context:
    info = TaskInfo(id=task, worker="flaky", attempt=number, index=0, execution_id=1, fence=1)
    return Context(task=info, params={}, token=Token(), line=line)


def test_flaky_fails_at_the_ends_of_the_rate_as_it_must(line: "RecordingLine") -> None:
    for number in range(1, 50):
        assert flaky(_attempt(line, number), rate=0)["attempt"] == number
        with pytest.raises(RuntimeError, match=f"attempt {number} failed on purpose"):
            flaky(_attempt(line, number), rate=1)


def test_flaky_fails_about_as_often_as_asked_and_each_attempt_anew(line: "RecordingLine") -> None:
    def fails(task: int, number: int) -> bool:
        try:
            flaky(_attempt(line, number, f"t{task}"), rate=0.5)
        except RuntimeError:
            return True
        return False

    outcomes = [(fails(task, 1), fails(task, 2)) for task in range(400)]

    # Drawn from the task's id, so these are the same 800 draws in every run.
    assert 300 < sum(first + second for first, second in outcomes) < 500
    assert len(set(outcomes)) == 4


def test_flaky_is_tried_three_times() -> None:
    assert _spec("flaky").max_attempts == 3


# -- the system ----------------------------------------------------------------------------------


def test_settings_have_all_sections_or_the_one_asked_for(ctx: Context) -> None:
    assert set(system_settings(ctx)) == {"sysctl", "environment", "limits", "locale", "mounts"}
    assert set(system_settings(ctx, "limits")) == {"limits"}


def test_settings_are_those_of_the_system(ctx: Context) -> None:
    found = system_settings(ctx)

    assert found["sysctl"]["kernel.osrelease"] == os.uname().release
    assert found["limits"]["nofile"].keys() == {"soft", "hard"}
    assert found["locale"]["encoding"] == locale.getencoding()
    assert "/proc" in {mount["target"] for mount in found["mounts"]}


def test_no_value_of_the_environment_is_shown(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    monkeypatch.setenv("HARMLESS", "hunter2")

    found = system_settings(ctx)

    assert found["environment"]["DB_PASSWORD"] == "***"
    assert found["environment"]["HARMLESS"] == "set"
    assert "hunter2" not in str(found)


def test_logins_of_mounts_are_masked_and_blanks_readable() -> None:
    option = "rw,username=ann,password=hunter2,credentials=/etc/login"
    mount = settings_module._mount("//ann:hunter2@nas/share", "/mnt/my share", "cifs", option)

    assert "hunter2" not in str(mount)
    assert mount["device"] == "//***@nas/share"
    assert mount["options"] == "rw,username=ann,password=***,credentials=***"
    assert settings_module._unescaped(r"/mnt/my\040share") == "/mnt/my share"


def test_the_loopback_interface_is_listed(ctx: Context) -> None:
    loopback = next(row for row in network_interfaces(ctx) if row["name"] == "lo")

    assert loopback["mtu"] > 0
    assert loopback["up"] in (True, False)
    assert {"ipv4", "ipv6"} >= {row["family"] for row in loopback["addresses"]}


def test_odd_interfaces_are_listed_too(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    state = namedtuple("state", "isup speed mtu")
    states = {"": state(True, 0, 1500), "a" * 15: state(False, 10, 0), "ü:0": state(True, 1, 1)}
    monkeypatch.setattr(psutil, "net_if_stats", lambda: states)
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"gone": [], "": []})

    rows = {row["name"]: row for row in network_interfaces(ctx)}

    assert rows.keys() == {"", "a" * 15, "ü:0", "gone"}
    assert (rows[""]["speed_mbit"], rows["gone"]["up"]) == (None, None)


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("cpu", lambda row: -row["cpu_percent"]),
        ("memory", lambda row: -row["memory_bytes"]),
        ("name", lambda row: row["name"].lower()),
        ("pid", lambda row: row["pid"]),
    ],
)
def test_processes_come_in_the_order_asked_for(ctx: Context, sort: Any, key: Any) -> None:
    rows = process_list(ctx, sort, limit=10_000)

    assert rows == sorted(rows, key=key)
    assert os.getpid() in {row["pid"] for row in rows}


def test_processes_are_limited_and_without_arguments(ctx: Context) -> None:
    rows = process_list(ctx, "pid", limit=1)

    assert len(rows) == 1
    assert rows[0].keys() == {"pid", "name", "user", "status", "cpu_percent", "memory_bytes"}


def test_a_process_that_ended_meanwhile_is_left_out(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["sleep", "1000"]) as program:
        gone = psutil.Process(program.pid)
        program.kill()
    monkeypatch.setattr(psutil, "process_iter", lambda: iter([gone]))

    assert process_list(ctx) == []
