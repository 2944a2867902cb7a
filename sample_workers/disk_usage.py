"""Teaches progress without a total, over a tree that may change and hide parts of itself."""

import stat
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

from tasky import Context, Param, worker

LONGEST = 1000
BLOCK = 512
"""Unit of `st_blocks`. Source: stat(2)."""


@worker(idempotent=True)
def disk_usage(
    ctx: Context,
    path: Annotated[Path, Param("The directory to measure.", path="dir", examples=(".",))],
    depth: Annotated[int, Param("Levels of directories to list.", ge=0, le=100)] = 1,
) -> dict[str, Any]:
    """Measure what a directory takes on the disk, in all and per directory below it.

    Hard links count once, symbolic links are not followed, what cannot be read is counted as an
    error. The largest 1000 directories are listed.
    """
    count: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    seen: set[tuple[int, int]] = set()
    count["bytes"] = ctx.files.stat(path).st_blocks * BLOCK
    for entry in ctx.files.scan(path):
        if entry.stat is None:
            count["errors"] += 1
            ctx.log.warning("%s: %s", entry.name, entry.error)
            continue
        is_folder = stat.S_ISDIR(entry.stat.st_mode)
        count["directories" if is_folder else "files"] += 1
        size = 0 if _counted(entry.stat, seen) else entry.stat.st_blocks * BLOCK
        count["bytes"] += size
        for folder in _folders(entry.name, depth, is_folder=is_folder):
            sizes[folder] += size
        ctx.progress(count["files"] + count["directories"], unit="entries", message=entry.name)
        ctx.checkpoint()
    largest = sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))[:LONGEST]
    return {
        "path": str(path),
        **{name: count[name] for name in ("bytes", "files", "directories", "errors")},
        "largest": [{"path": name, "bytes": size} for name, size in largest],
    }


def _counted(info: Any, seen: set[tuple[int, int]]) -> bool:
    """Say whether this file was counted under another name."""
    if info.st_nlink < 2 or stat.S_ISDIR(info.st_mode):
        return False
    key = (info.st_dev, info.st_ino)
    known = key in seen
    seen.add(key)
    return known


def _folders(name: str, depth: int, *, is_folder: bool) -> list[str]:
    parts = name.split("/") if is_folder else name.split("/")[:-1]
    return ["/".join(parts[:level]) for level in range(1, min(depth, len(parts)) + 1)]
