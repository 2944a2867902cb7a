"""Teaches work in two stages: first find out how much there is, then do it."""

import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from os import stat_result
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from tasky import Context, Param, worker
from tasky.errors import FileProblem, PathRefused

BLOCK = 1024 * 1024


@worker
def archive(
    ctx: Context,
    source: Annotated[Path, Param("File or directory to pack.", path="any", examples=("data",))],
    target: Annotated[Path, Param("The new .tar.gz.", path="new", examples=("data.tar.gz",))],
) -> dict[str, Any]:
    """Pack a file or a directory into a new .tar.gz.

    Symbolic links, special files and what cannot be read are left out, with a line in the log.
    """
    found = list(_members(ctx, source))
    work = _Work(ctx, sum(info.st_size for _, _, info in found if stat.S_ISREG(info.st_mode)))
    with ctx.files.write(target) as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        packed = sum(work.add(tar, path, name, info) for path, name, info in found)
    size = ctx.files.stat(target).st_size
    return {
        "target": str(target),
        "members": packed,
        "left_out": len(found) - packed,
        "bytes_read": work.done,
        "bytes": size,
    }


def _members(ctx: Context, source: Path) -> Iterator[tuple[Path, str, stat_result]]:
    """Find what there is: where it is, its name in the archive, what the system says about it."""
    info = ctx.files.stat(source)
    yield source, source.name or ".", info
    if not stat.S_ISDIR(info.st_mode):
        return
    for entry in ctx.files.scan(source):
        if entry.stat is None:
            ctx.log.warning("%s is left out: %s", entry.name, entry.error)
            continue
        yield source / entry.name, str(Path(source.name, entry.name)), entry.stat
        ctx.progress(message=entry.name, stage="looking")
        ctx.checkpoint()


@dataclass
class _Work:
    ctx: Context
    total: int
    done: int = 0

    def add(self, tar: tarfile.TarFile, path: Path, name: str, info: stat_result) -> bool:
        """Put one member into the archive; return whether it could be."""
        if stat.S_ISDIR(info.st_mode):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, stat.S_IMODE(info.st_mode)
            member.mtime = int(info.st_mtime)
            tar.addfile(member)
            return True
        try:
            file = self.ctx.files.open_read(path)
        except (FileProblem, PathRefused) as problem:
            self.ctx.log.warning("%s is left out: %s", path, problem)
            return False
        with file:
            blocks: Any = _Blocks(self, file, path)
            tar.addfile(tar.gettarinfo(arcname=name, fileobj=file), blocks)
        return True


@dataclass
class _Blocks:
    """What `tarfile` reads a member from: exactly as many bytes as its header says."""

    work: _Work
    file: BinaryIO
    path: Path

    def read(self, size: int) -> bytes:
        work, data = self.work, self.file.read(size)
        work.done += len(data)
        work.ctx.progress(work.done, max(work.done, work.total), unit="B", stage="packing")
        work.ctx.checkpoint(f"block {work.done // BLOCK + 1}")
        if len(data) < size:
            work.ctx.log.warning("%s became shorter meanwhile; filled with zeros", self.path)
        return data.ljust(size, b"\0")
