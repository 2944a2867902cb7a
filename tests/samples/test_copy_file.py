import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sample_workers.copy_file import BLOCK, copy_file
from tasky.cancel import Cancelled, Reason, Token
from tasky.errors import FileProblem, PathRefused
from tasky.worker import Context

if TYPE_CHECKING:
    from tests.samples.conftest import RecordingLine

DATA = bytes(range(256)) * 4096 * 3 + b"end"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


def _at(wanted: str, act: Callable[[], object]) -> Callable[[str], object]:
    return lambda name: act() if name == wanted else None


def _names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def test_the_copy_has_the_bytes_and_the_permission_bits(
    ctx: Context, source: Path, tmp_path: Path
) -> None:
    source.chmod(0o6751)

    output = copy_file(ctx, Path("source"), Path("target"))

    assert (tmp_path / "target").read_bytes() == DATA
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o751
    assert output["bytes"] == len(DATA)
    assert (output["source"], output["target"]) == ("source", "target")


@pytest.mark.usefixtures("source")
def test_each_block_is_a_checkpoint_and_a_report(ctx: Context, line: "RecordingLine") -> None:
    copy_file(ctx, Path("source"), Path("target"))

    assert line.checkpoints == [f"block {number}" for number in range(1, 5)]
    total = len(DATA)
    assert line.reports == [(done, total, "B") for done in (BLOCK, 2 * BLOCK, 3 * BLOCK, total)]


def test_an_empty_file_is_copied(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "source").touch()

    assert copy_file(ctx, Path("source"), Path("target"))["bytes"] == 0
    assert (tmp_path / "target").read_bytes() == b""


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_cancel_halfway_leaves_neither_a_target_nor_a_temporary_file(
    ctx: Context, token: Token, line: "RecordingLine", tmp_path: Path, overwrite: bool
) -> None:
    line.on_checkpoint = _at("block 2", partial(token.cancel, Reason.USER))

    with pytest.raises(Cancelled):
        copy_file(ctx, Path("source"), Path("target"), overwrite=overwrite)

    assert _names(tmp_path) == {"source"}


@pytest.mark.usefixtures("source")
def test_a_cancelled_overwrite_leaves_the_old_target(
    ctx: Context, token: Token, line: "RecordingLine", tmp_path: Path
) -> None:
    (tmp_path / "target").write_bytes(b"old")
    line.on_checkpoint = _at("block 4", partial(token.cancel, Reason.USER))

    with pytest.raises(Cancelled):
        copy_file(ctx, Path("source"), Path("target"), overwrite=True)

    assert (tmp_path / "target").read_bytes() == b"old"
    assert _names(tmp_path) == {"source", "target"}


@pytest.mark.usefixtures("source")
def test_an_existing_target_is_replaced_only_when_asked(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")

    with pytest.raises(FileProblem, match="exists already"):
        copy_file(ctx, Path("source"), Path("target"))
    assert (tmp_path / "target").read_bytes() == b"old"

    copy_file(ctx, Path("source"), Path("target"), overwrite=True)
    assert (tmp_path / "target").read_bytes() == DATA


def test_a_file_is_not_copied_onto_itself(ctx: Context, source: Path, tmp_path: Path) -> None:
    (tmp_path / "hard").hardlink_to(source)

    for target in (Path("source"), source, Path("hard")):
        with pytest.raises(FileProblem, match="is the source itself"):
            copy_file(ctx, source, target, overwrite=True)
    assert source.read_bytes() == DATA


def test_only_a_regular_file_is_copied(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(FileProblem, match="is a directory"):
        copy_file(ctx, Path("folder"), Path("target"))
    with pytest.raises(PathRefused):
        copy_file(ctx, Path("/dev/null"), Path("target"))
    assert _names(tmp_path) == {"folder"}


def test_nothing_is_copied_through_a_linked_folder(
    ctx: Context, source: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (tmp_path / "link").symlink_to(outside)

    with pytest.raises(PathRefused):
        copy_file(ctx, source, Path("link/target"))
    assert _names(outside) == set()


def test_a_pause_holds_the_copy_and_it_goes_on(
    ctx: Context, source: Path, token: Token, line: "RecordingLine", tmp_path: Path
) -> None:
    line.on_checkpoint = _at("block 1", token.pause)
    line.on_paused = token.resume

    copy_file(ctx, source, Path("target"))

    assert line.pauses == 1
    assert (tmp_path / "target").read_bytes() == DATA
