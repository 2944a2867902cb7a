"""Teaches a worker that runs until somebody cancels it."""

import os
from pathlib import Path
from typing import Annotated, BinaryIO

from tasky import Context, Param, worker
from tasky.errors import FileProblem

BLOCK = 64 * 1024
LOOK_S = 0.5


@worker
def tail_file(
    ctx: Context,
    path: Annotated[Path, Param("The file to follow.", path="file", examples=("app.log",))],
    lines: Annotated[int, Param("Lines to begin with.", ge=0, le=100_000)] = 10,
) -> None:
    """Print the last lines of a file, then each new one, until the task is cancelled.

    Goes on when the file is rotated (a new one under the same name) or truncated.
    """
    file = ctx.files.open_read(path)
    try:
        rest = _print(ctx, _last(file, lines))
        while True:
            # Looked up first: what the old file still got before the rotation is read below.
            following = _replacement(ctx, path, file)
            while chunk := file.read(BLOCK):
                rest = _print(ctx, rest + chunk)
            if following is not None:
                file.close()
                file = following
                rest = _print(ctx, rest + b"\n") if rest else b""
                ctx.log.info("%s was replaced; following the new file", path)
                continue
            if os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)
                ctx.log.info("%s was truncated; reading from its start", path)
                continue
            ctx.sleep(LOOK_S)
    finally:
        file.close()


def _print(ctx: Context, data: bytes) -> bytes:
    """Print the whole lines; return what follows the last of them."""
    *whole, rest = data.split(b"\n")
    for line in whole:
        ctx.write_line(line.decode(errors="replace"))
        ctx.checkpoint()
    return rest


def _replacement(ctx: Context, path: Path, file: BinaryIO) -> BinaryIO | None:
    """Return the file that has the name now, if it is another one; in between there may be none."""
    try:
        if os.path.samestat(ctx.files.stat(path), os.fstat(file.fileno())):
            return None
        return ctx.files.open_read(path)
    except FileProblem:
        return None


def _last(file: BinaryIO, lines: int) -> bytes:
    """Return the last lines of a file, reading no more of it than needed."""
    position, data = file.seek(0, os.SEEK_END), b""
    while position > 0 and data.count(b"\n", 0, -1) < lines:
        step = min(BLOCK, position)
        position -= step
        file.seek(position)
        data = file.read(step) + data
    file.seek(0, os.SEEK_END)
    return b"".join(data.splitlines(keepends=True)[-lines:]) if lines else b""
