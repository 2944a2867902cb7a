"""Modules with workers: found by name, file or folder; a bad one is listed and harms no other."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasky.client.session import Tasky
from tasky.errors import WorkerTaken, WorkerUnknown
from tasky.runtime import registry as registry_module
from tasky.runtime.registry import Registry
from tasky.worker import RESERVED, checked_name, spec_of, worker
from tests.helpers import PATIENCE_S

GOOD = """
from tasky import Context, worker

@worker
def {name}(ctx: Context, n: int = 1) -> int:
    '''Return n.'''
    return n
"""


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A place for modules; what was imported of it is forgotten."""
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, name: str, text: str | None = None) -> Path:
    path = folder / f"{name}.py"
    path.write_text(GOOD.format(name=name) if text is None else text)
    return path


def errors(registry: Registry) -> dict[str, str]:
    return {Path(bad.module).name: bad.error for bad in registry.not_loaded}


def test_a_file_is_loaded(registry: Registry, folder: Path) -> None:
    registry.load(str(write(folder, "reg_alone")))
    assert list(registry.workers) == ["reg_alone"]
    assert registry.not_loaded == []


def test_a_folder_is_loaded_but_for_its_private_files(registry: Registry, folder: Path) -> None:
    for name in ("reg_one", "reg_two", "_reg_private"):
        write(folder, name)
    (folder / "notes.txt").write_text("no module")
    registry.load(str(folder))
    assert sorted(registry.workers) == ["reg_one", "reg_two"]


def test_a_package_is_loaded_with_its_modules(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = folder / "reg_package"
    package.mkdir()
    write(package, "__init__", "")
    write(package, "reg_inside")
    monkeypatch.syspath_prepend(str(folder))
    registry.load("reg_package")
    assert list(registry.workers) == ["reg_inside"]


def test_the_samples_are_workers(registry: Registry) -> None:
    registry.load("sample_workers")
    assert {"copy_file", "sleep", "flaky"} <= set(registry.workers)
    assert registry.not_loaded == []


BAD = {
    "raises": ("raise RuntimeError('broken')", "RuntimeError: broken"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "is no python": ("def (", "SyntaxError"),
    "misses something": ("import reg_not_there", "ModuleNotFoundError"),
    "has a reserved name": (GOOD.format(name="tasks"), "'tasks' is a word of the REST routes"),
    "has no config": (
        "from tasky import worker\n@worker\ndef reg_args(*args: int) -> None: ...",
        "args",
    ),
    "cannot be made": (
        "from tasky import WorkerBase\n"
        "class RegBad(WorkerBase):\n"
        "    def __init__(self): raise RuntimeError('no')\n",
        "RuntimeError: no",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_module_is_listed_and_harms_no_other(
    registry: Registry, folder: Path, kind: str
) -> None:
    text, error = BAD[kind]
    write(folder, "reg_bad", text)
    write(folder, "reg_good")
    registry.load(str(folder))
    assert list(registry.workers) == ["reg_good"]
    assert error in errors(registry)["reg_bad.py"]


def test_a_module_that_hangs_is_given_up(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "IMPORT_PATIENCE_S", 0.05)
    door = threading.Event()
    monkeypatch.setattr(sys, "reg_door", door, raising=False)
    write(folder, "reg_a_hangs", f"import sys; sys.reg_door.wait({PATIENCE_S})")
    write(folder, "reg_good")
    try:
        registry.load(str(folder))
    finally:
        door.set()
    assert list(registry.workers) == ["reg_good"]
    assert errors(registry)["reg_a_hangs.py"] == "its import did not end within 0.05 s"


def test_a_worker_class_that_hangs_when_it_is_made_is_given_up(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "IMPORT_PATIENCE_S", 0.05)
    door = threading.Event()
    monkeypatch.setattr(sys, "reg_door", door, raising=False)
    text = (
        "import sys\nfrom tasky import WorkerBase\n"
        "class RegHangs(WorkerBase):\n"
        f"    def __init__(self): sys.reg_door.wait({PATIENCE_S})\n"
    )
    try:
        registry.load(str(write(folder, "reg_class_hangs", text)))
    finally:
        door.set()
    assert registry.workers == {}
    assert "did not end" in errors(registry)["reg_class_hangs.py"]


def test_a_module_that_takes_long_is_named_on_one_line(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(registry_module, "QUIET_S", 0.05)
    door = threading.Event()
    monkeypatch.setattr(sys, "reg_door", door, raising=False)

    class Opens(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            door.set()

    opens = Opens()
    registry_module.log.addHandler(opens)
    try:
        registry.load(
            str(write(folder, "reg_slow\nly", f"import sys; sys.reg_door.wait({PATIENCE_S})"))
        )
    finally:
        registry_module.log.removeHandler(opens)
        door.set()
    assert registry.not_loaded == []
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "still loading worker module" in record.getMessage()
    assert "reg_slow ly.py" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("reg_nowhere", "ModuleNotFoundError"),
        ("/nowhere/reg.py", "FileNotFoundError"),
        ("no module name", "ModuleNotFoundError"),
    ],
)
def test_a_module_that_is_not_there_is_listed(registry: Registry, source: str, error: str) -> None:
    registry.load(source)
    assert registry.workers == {}
    assert error in registry.not_loaded[0].error


def test_a_server_starts_without_its_bad_modules(
    make_tasky: Callable[..., Tasky], folder: Path
) -> None:
    for kind, (text, _) in BAD.items():
        write(folder, f"reg_{kind.replace(' ', '_')}", text)
    write(folder, "reg_good")
    tasky = make_tasky(workers=[str(folder)])
    assert tasky.run("reg_good", {"n": 3}).wait(PATIENCE_S).ended
    _, bad = tasky.client.workers()
    assert len(bad) == len(BAD)


# -- names -----------------------------------------------------------------------------------------


def one() -> None: ...


def two() -> None: ...


def test_two_workers_of_one_name_are_refused(registry: Registry) -> None:
    registry.add(spec_of(one, name="same"))
    with pytest.raises(WorkerTaken):
        registry.add(spec_of(two, name="same"))


def test_a_worker_that_comes_twice_is_one(registry: Registry) -> None:
    assert registry.add(spec_of(one)) is registry.add(spec_of(one))


def test_the_second_module_of_a_name_is_listed(registry: Registry, folder: Path) -> None:
    write(folder, "reg_a", GOOD.format(name="reg_same"))
    write(folder, "reg_b", GOOD.format(name="reg_same").replace("return n", "return n + 1"))
    registry.load(str(folder))
    assert registry.workers["reg_same"].spec.module == "reg_a"
    assert "two workers with the name reg_same" in errors(registry)["reg_b.py"]


def test_a_worker_that_a_module_borrows_is_not_its_own(registry: Registry, folder: Path) -> None:
    write(folder, "reg_a", "from sample_workers.sleep import sleep")
    registry.load(str(folder / "reg_a.py"))
    assert registry.workers == {}


def test_a_name_is_found_whatever_its_case(registry: Registry) -> None:
    registry.add(spec_of(one, name="Copy_File"))
    assert registry.get("COPY_FILE") is registry.get("copy_file")


def test_an_unknown_name_gets_the_closest_one(registry: Registry) -> None:
    registry.add(spec_of(one, name="copy_file"))
    with pytest.raises(WorkerUnknown, match="Did you mean copy_file"):
        registry.get("copy_fil")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_words_of_the_routes_are_no_names(name: str) -> None:
    with pytest.raises(ValueError, match="REST routes"):
        checked_name(name)


@pytest.mark.parametrize("name", ["", "1a", "_a", "a b", "a/b", "a" * 65, "é", "a.b", "a\n"])
def test_what_no_route_carries_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="no worker name"):
        checked_name(name)


def test_what_people_set_outlives_the_process(make_tasky: Callable[..., Tasky]) -> None:
    first = make_tasky()
    first.run(worker(name="kept")(one)).wait(PATIENCE_S)
    first.client.change_worker("kept", enabled=False, reason="night", max_running=3, queue="slow")
    first.close()

    second = make_tasky()
    second.core.register(spec_of(worker(name="kept")(one)))
    found = second.client.worker("kept")
    assert (found.enabled, found.disabled_reason) == (False, "night")
    assert (found.max_running, found.queue) == (3, "slow")
