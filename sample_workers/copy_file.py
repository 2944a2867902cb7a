"""Teaches progress in bytes, a checkpoint per chunk, and a result that is whole or not there."""

import os
import stat
import time
from pathlib import Path
from typing import Annotated, Any

from tasky import Context, Param, worker
from tasky.errors import FileProblem

BLOCK = 1024 * 1024


@worker
def copy_file(
    ctx: Context,
    source: Annotated[Path, Param("The file to copy.", path="file", examples=("data.csv",))],
    target: Annotated[Path, Param("Its new path.", path="new", examples=("copy.csv",))],
    overwrite: Annotated[bool, Param("Replace a file that is there.")] = False,
) -> dict[str, Any]:
    """Copy a file with its permission bits; the target is whole and on the disk, or unchanged."""
    files, start = ctx.files, time.monotonic()
    if files.same_file(source, target):
        raise FileProblem(path=target, why="is the source itself", hint="Give another target.")
    with files.open_read(source) as reader:
        total = os.fstat(reader.fileno()).st_size
        # rwx only: a copy that its new owner may run with somebody else's rights is a trap.
        mode = stat.S_IMODE(os.fstat(reader.fileno()).st_mode) & 0o777
        with files.write(target, overwrite=overwrite, mode=mode) as writer:
            done = block = 0
            while chunk := reader.read(BLOCK):
                writer.write(chunk)
                done, block = done + len(chunk), block + 1
                ctx.progress(done, max(done, total), unit="B")
                ctx.checkpoint(f"block {block}")
            os.fchmod(writer.fileno(), mode)
    seconds = round(time.monotonic() - start, 3)
    return {"source": str(source), "target": str(target), "bytes": done, "seconds": seconds}
