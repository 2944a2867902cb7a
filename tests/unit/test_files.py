"""Files of workers: what is reached, what is refused, what a write leaves behind."""

import errno
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasky import files as module
from tasky.cancel import Cancelled, Reason
from tasky.errors import FileProblem, PathRefused
from tasky.files import Files, default_roots, protect

CANARY = b"canary"
TRIES = 2000


@pytest.fixture(autouse=True, params=["openat2", "step by step"])
def _resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule holds on old kernels too."""
    if request.param != "openat2":
        monkeypatch.setattr(module, "_has_openat2", lambda: False)
    elif not module._has_openat2():
        pytest.skip("this kernel has no openat2")


@pytest.fixture(autouse=True)
def _no_descriptor_leaks() -> Iterator[None]:
    before = _descriptors()
    yield
    assert _descriptors() == before


@pytest.fixture(autouse=True)
def _nothing_protected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_own", set())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file and a folder, beside a file that must never be reached."""
    (tmp_path / "canary").write_bytes(CANARY)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(CANARY)
    place = tmp_path / "root"
    (place / "folder").mkdir(parents=True)
    (place / "file").write_bytes(b"inside")
    (place / "folder" / "deep").write_bytes(b"deep inside")
    return place


@pytest.fixture
def files(root: Path) -> Files:
    return Files([str(root)])


def _descriptors() -> list[Path]:
    # The listing itself has a descriptor; it takes the lowest free number, the same each time.
    return sorted(Path("/proc/self/fd").iterdir())


def _read(files: Files, path: str | Path) -> bytes:
    with files.open_read(path) as file:
        return file.read()


def _names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


# -- what is reached -----------------------------------------------------------------------------


def test_a_relative_path_starts_at_the_first_root(root: Path, tmp_path: Path) -> None:
    assert _read(Files([str(root), str(tmp_path)]), "file") == b"inside"


def test_an_absolute_path_below_any_root_is_reached(root: Path, tmp_path: Path) -> None:
    both = Files([str(root), str(tmp_path / "outside")])

    assert _read(both, root / "folder" / "deep") == b"deep inside"
    assert _read(both, tmp_path / "outside" / "file") == CANARY


@pytest.mark.parametrize("path", ["./file", "folder/../file", "folder//deep", "folder/./deep"])
def test_another_spelling_of_a_path_inside_is_reached(files: Files, path: str) -> None:
    assert b"inside" in _read(files, path)


def test_a_root_may_be_reached_through_a_link_and_has_both_names(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(root)
    linked = Files([str(tmp_path / "link")])

    assert _read(linked, "file") == b"inside"
    assert _read(linked, tmp_path / "link" / "file") == b"inside"
    assert _read(linked, root / "file") == b"inside"


def test_a_relative_root_is_below_the_directory_of_the_process(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)

    assert _read(Files(["."]), root / "file") == b"inside"


def test_stat_tells_about_files_and_directories(files: Files, root: Path) -> None:
    assert files.stat("file") == (root / "file").stat()
    assert stat.S_ISDIR(files.stat("").st_mode)


# -- what is refused -----------------------------------------------------------------------------

OUTSIDE = [
    "../canary",
    "..",
    "folder/../../canary",
    "folder/" + "../" * 60 + "etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "file\0.txt",
    "\0",
    "x" * 5000,
    "folder/" * 1000 + "x",
    "x" * 256,
    "\ud800",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: repr(path[:20]))
def test_a_path_outside_is_refused_for_every_method(files: Files, path: str) -> None:
    with pytest.raises(PathRefused):
        files.open_read(path)
    with pytest.raises(PathRefused):
        files.stat(path)
    with pytest.raises(PathRefused):
        files.scan(path)
    with pytest.raises(PathRefused), files.write(path):
        pytest.fail("the block ran")
    with pytest.raises(PathRefused):
        files.same_file("file", path)


def test_an_absolute_path_with_dots_does_not_count_as_below_its_beginning(
    files: Files, root: Path
) -> None:
    with pytest.raises(PathRefused):
        files.open_read(f"{root}/../canary")
    with pytest.raises(PathRefused):
        files.open_read(f"{root}-and-more")


def test_percent_signs_are_letters_of_a_name(files: Files) -> None:
    with pytest.raises(FileProblem, match="does not exist"):
        files.open_read("%2e%2e/canary")


def test_a_link_out_of_the_root_is_refused(files: Files, root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(tmp_path / "canary")
    (root / "links").symlink_to(tmp_path / "outside")

    for path in ("link", "links/file", "links"):
        with pytest.raises(PathRefused, match="symbolic links are not followed"):
            files.open_read(path)


def test_a_link_inside_the_root_is_refused_too(files: Files, root: Path) -> None:
    (root / "link").symlink_to("file")
    (root / "nowhere").symlink_to("missing")

    for path in ("link", "nowhere"):
        with pytest.raises(PathRefused, match="symbolic links are not followed"):
            files.stat(path)


def test_a_link_of_proc_is_refused() -> None:
    with pytest.raises(PathRefused):
        Files(["/proc"]).open_read("self/exe")


def test_without_roots_everything_is_refused() -> None:
    with pytest.raises(PathRefused, match="none"):
        Files([]).open_read("file")


def test_a_refusal_says_what_where_and_what_to_do(files: Files, root: Path) -> None:
    with pytest.raises(PathRefused) as caught:
        files.open_read("/etc/passwd")

    text = f"/etc/passwd is outside the file roots ({root}). Use a path inside, or start with"
    assert str(caught.value).startswith(text)


def test_a_path_swapped_for_a_link_never_leads_out(
    files: Files, root: Path, tmp_path: Path
) -> None:
    (root / "swap").mkdir()
    (root / "swap" / "file").write_bytes(b"inside")
    (root / "link").symlink_to(tmp_path / "outside")
    stop = threading.Event()
    swapper = threading.Thread(target=_swap, args=(root, stop))
    swapper.start()
    try:
        seen = {_try_to_read(files, "swap/file") for _ in range(TRIES)}
    finally:
        stop.set()
        swapper.join()

    assert CANARY not in seen


def test_a_folder_swapped_for_a_link_never_gets_a_file(
    files: Files, root: Path, tmp_path: Path
) -> None:
    (root / "swap").mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    stop = threading.Event()
    swapper = threading.Thread(target=_swap, args=(root, stop))
    swapper.start()
    try:
        for number in range(TRIES // 20):
            _try_to_write(files, f"swap/{number}")
    finally:
        stop.set()
        swapper.join()

    assert _names(tmp_path / "outside") == {"file"}


def _swap(root: Path, stop: threading.Event) -> None:
    while not stop.is_set():
        (root / "swap").rename(root / "real")
        (root / "link").rename(root / "swap")
        (root / "swap").rename(root / "link")
        (root / "real").rename(root / "swap")


def _try_to_read(files: Files, path: str) -> bytes | None:
    try:
        return _read(files, path)
    except (PathRefused, FileProblem):
        return None


def _try_to_write(files: Files, path: str) -> None:
    try:
        with files.write(path) as file:
            file.write(b"data")
    except (PathRefused, FileProblem):
        return


# -- Tasky's own files ---------------------------------------------------------------------------


def test_an_own_file_is_refused_under_every_name(files: Files, root: Path) -> None:
    protect(root / "file")
    (root / "hard").hardlink_to(root / "file")

    for path in ("file", "hard"):
        with pytest.raises(PathRefused, match="Tasky's own"):
            files.open_read(path)
        with pytest.raises(PathRefused, match="Tasky's own"), files.write(path, overwrite=True):
            pytest.fail("the block ran")


def test_an_own_file_that_is_not_there_yet_cannot_be_planted(files: Files, root: Path) -> None:
    protect(root / "folder" / "db-journal")

    with pytest.raises(PathRefused, match="Tasky's own"), files.write("folder/db-journal"):
        pytest.fail("the block ran")
    with files.write("db-journal") as file:
        file.write(b"another folder")


# -- what cannot be used -------------------------------------------------------------------------


def test_a_missing_file_names_the_closest_one(files: Files) -> None:
    with pytest.raises(FileProblem, match=r"flie does not exist. Did you mean file\?"):
        files.open_read("flie")
    with pytest.raises(FileProblem, match=r"Did you mean folder/deep\?"):
        files.open_read("folder/DEEEP")
    with pytest.raises(FileProblem, match=r"Did you mean folder\?"):
        files.open_read("foldr/deep/deeper")
    with pytest.raises(FileProblem, match="Check the path"):
        files.stat("zzzzzzzz")


def test_a_file_is_no_folder_on_the_way(files: Files) -> None:
    with pytest.raises(FileProblem, match="does not exist"):
        files.open_read("file/below")


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=f"Create the root {tmp_path}/gone"):
        Files([str(tmp_path / "gone")]).open_read("file")


def test_a_directory_is_not_opened_as_a_file(files: Files) -> None:
    with pytest.raises(FileProblem, match="is a directory"):
        files.open_read("folder")


def test_a_pipe_or_socket_is_neither_opened_nor_waited_for(files: Files, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))

        for path in ("pipe", "socket"):
            with pytest.raises(FileProblem, match="is not a regular file"):
                files.open_read(path)


def test_a_device_is_not_opened() -> None:
    with pytest.raises(FileProblem, match="is not a regular file"):
        Files(["/dev"]).open_read("null")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_missing_right_is_a_file_problem(
    files: Files, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    # Faked, for the superuser has every right.
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "_beneath", refuse)

    with pytest.raises(FileProblem, match="permission denied"):
        files.open_read("file")


def test_an_error_of_the_disk_stays_what_it_is(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(module, "_beneath", fail)

    with pytest.raises(OSError, match="Input/output error"):
        files.open_read("file")


# -- writing -------------------------------------------------------------------------------------


def test_a_new_file_appears_only_when_it_is_whole(files: Files, root: Path) -> None:
    with files.write("folder/new") as file:
        file.write(b"data")
        file.flush()
        assert not (root / "folder" / "new").exists()

    assert (root / "folder" / "new").read_bytes() == b"data"
    assert _names(root / "folder") == {"deep", "new"}


@pytest.mark.parametrize(
    "error", [ValueError("no"), Cancelled(Reason.USER), KeyboardInterrupt(), OSError("disk")]
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_whatever_ends_a_write_early_leaves_everything_as_it_was(
    files: Files, root: Path, error: BaseException, overwrite: bool
) -> None:
    target = "file" if overwrite else "new"

    with pytest.raises(type(error)):
        _write_half(files, target, error, overwrite=overwrite)

    assert (root / "file").read_bytes() == b"inside"
    assert _names(root) == {"file", "folder"}


def _write_half(files: Files, path: str, error: BaseException, *, overwrite: bool) -> None:
    with files.write(path, overwrite=overwrite) as file:
        file.write(b"half")
        raise error


def test_an_existing_file_is_left_alone_without_overwrite(files: Files, root: Path) -> None:
    with pytest.raises(FileProblem, match=r"exists already.*overwrite=true"), files.write("file"):
        pytest.fail("the block ran")

    assert (root / "file").read_bytes() == b"inside"


def test_a_file_that_appears_meanwhile_is_left_alone_without_overwrite(
    files: Files, root: Path
) -> None:
    with pytest.raises(FileProblem, match="exists already"), files.write("new"):
        (root / "new").write_bytes(b"theirs")

    assert (root / "new").read_bytes() == b"theirs"
    assert _names(root) == {"file", "folder", "new"}


def test_overwrite_replaces_the_file_and_a_reader_keeps_the_old_one(
    files: Files, root: Path
) -> None:
    with files.open_read("file") as old:
        with files.write("file", overwrite=True) as file:
            file.write(b"new")
        assert old.read() == b"inside"

    assert (root / "file").read_bytes() == b"new"


def test_a_file_system_without_hard_links_asks_for_overwrite(
    files: Files, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)

    with pytest.raises(FileProblem, match="overwrite=true"), files.write("new") as file:
        file.write(b"data")
    assert _names(root) == {"file", "folder"}


def test_the_mode_of_a_new_file_goes_through_the_umask(files: Files, root: Path) -> None:
    old = os.umask(0o027)
    try:
        with files.write("new", mode=0o666):
            pass
    finally:
        os.umask(old)

    assert stat.S_IMODE((root / "new").stat().st_mode) == 0o640


def test_a_read_only_root_can_be_read_and_not_written(root: Path) -> None:
    read_only = Files([f"{root}:ro"])

    assert _read(read_only, "file") == b"inside"
    with pytest.raises(PathRefused, match="read-only"), read_only.write("new"):
        pytest.fail("the block ran")
    assert _names(root) == {"file", "folder"}


def test_of_roots_inside_each_other_the_innermost_decides(root: Path) -> None:
    inner_closed = Files([f"{root}:rw", f"{root}/folder:ro"])
    inner_open = Files([f"{root}:ro", f"{root}/folder:rw"])

    for path in ("folder/new", f"../{root.name}/folder/new", f"{root}/./folder/new"):
        with pytest.raises(PathRefused, match="read-only"), inner_closed.write(path):
            pytest.fail("the block ran")
    with inner_open.write("folder/new") as file:
        file.write(b"data")
    with pytest.raises(PathRefused, match="read-only"), inner_open.write("new"):
        pytest.fail("the block ran")


def test_nothing_is_written_through_a_link(files: Files, root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to(tmp_path / "canary")
    (root / "links").symlink_to(tmp_path / "outside")

    for path in ("link", "links/new"):
        with pytest.raises(PathRefused), files.write(path, overwrite=True):
            pytest.fail("the block ran")
    assert (tmp_path / "canary").read_bytes() == CANARY
    assert _names(tmp_path / "outside") == {"file"}


def test_a_directory_is_never_a_target(files: Files) -> None:
    for path in ("folder", "new/", ".", ""):
        with pytest.raises(FileProblem, match="is a directory"), files.write(path, overwrite=True):
            pytest.fail("the block ran")


def test_a_missing_folder_of_a_target_is_named(files: Files) -> None:
    with pytest.raises(FileProblem, match="does not exist"), files.write("gone/new"):
        pytest.fail("the block ran")


def test_one_file_under_two_names_is_the_same_file(files: Files, root: Path) -> None:
    (root / "hard").hardlink_to(root / "file")

    assert files.same_file("file", root / "folder" / ".." / "file")
    assert files.same_file("file", "hard")
    assert not files.same_file("file", "folder/deep")
    assert not files.same_file("file", "missing")


# -- scanning ------------------------------------------------------------------------------------


def test_a_scan_finds_everything_below_and_follows_no_link(
    files: Files, root: Path, tmp_path: Path
) -> None:
    (root / "links").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(".")

    found = {entry.name: entry for entry in files.scan(".")}

    assert found.keys() == {"file", "folder", "folder/deep", "links", "loop"}
    assert all(entry.error is None for entry in found.values())
    assert found["file"].stat == (root / "file").stat()


def test_a_scan_of_a_file_is_a_file_problem(files: Files) -> None:
    with pytest.raises(FileProblem, match="is not a directory"):
        files.scan("file")


def test_a_scan_left_early_keeps_no_descriptor(files: Files) -> None:
    scan = files.scan("")
    next(scan)
    scan.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_scan_of_a_deep_tree_needs_few_descriptors(files: Files, root: Path) -> None:
    place = root / "folder"
    for _ in range(100):
        place = place / "d"
        place.mkdir()
    most = max(len(_descriptors()) for _ in files.scan("folder"))

    assert most < len(_descriptors()) + 5


def test_a_directory_that_cannot_be_read_is_an_entry_with_an_error(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = module._listing

    def refuse(root: str, rest: str) -> object:
        if rest.endswith("folder"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return listing(root, rest)

    monkeypatch.setattr(module, "_listing", refuse)
    failed = [entry for entry in files.scan(".") if entry.error]

    assert [entry.name for entry in failed] == ["folder"]


def test_what_vanishes_during_a_scan_is_left_out(files: Files, root: Path) -> None:
    found = set()
    for entry in files.scan("."):
        found.add(entry.name)
        if entry.name == "folder":
            (root / "folder" / "deep").unlink()
            (root / "folder").rmdir()

    assert found == {"file", "folder"}


# -- roots of a server that was given none -------------------------------------------------------


def test_the_start_directory_is_the_root(root: Path) -> None:
    assert default_roots(root / "folder" / "..") == [str(root)]


def test_neither_the_top_nor_a_home_is_a_root(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    (tmp_path / "link").symlink_to(root)

    assert default_roots(Path("/")) == []
    assert default_roots(root) == []
    assert default_roots(tmp_path / "link") == []
    assert default_roots(Path("~root").expanduser()) == []
