"""Teaches output that is text or bytes, and reading a part of something large."""

import os
from pathlib import Path
from typing import Annotated, BinaryIO

from tasky import Context, Param, worker
from tasky.errors import FileProblem

BLOCK = 1024 * 1024
LARGEST = 64 * BLOCK
"""An output is kept in the database, so a larger file is to be read in parts."""


@worker(idempotent=True)
def read_file(
    ctx: Context,
    path: Annotated[Path, Param("The file to read.", path="file", examples=("notes.txt",))],
    offset: Annotated[int, Param("First byte; a negative one counts from the end.")] = 0,
    limit: Annotated[int | None, Param("Bytes to read; without it all that follow.", ge=0)] = None,
    encoding: Annotated[str, Param('Encoding of the text, or "binary" for bytes.')] = "utf-8",
) -> str | bytes:
    """Read a file or a part of it: text, or bytes if it is no text in that encoding."""
    if encoding != "binary":
        _check(encoding)
    with ctx.files.open_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = max(0, size + offset) if offset < 0 else min(offset, size)
        count = size - start if limit is None else min(limit, size - start)
        if count > LARGEST:
            why = f"has {count} bytes to read, more than {LARGEST}"
            raise FileProblem(path=path, why=why, hint="Give a limit and read it in parts.")
        file.seek(start)
        data = _read(ctx, file, count)
    if encoding == "binary":
        return data
    return _text(data, encoding, cut=(start > 0, start + count < size))


def _check(encoding: str) -> None:
    try:
        # Some codecs turn bytes into bytes; only decoding tells them from text encodings.
        bytes(4).decode(encoding, errors="replace")
    except LookupError:
        known = "Use one such as utf-8, latin-1, or binary."
        raise ValueError(f"There is no text encoding {encoding!r}. {known}") from None


def _read(ctx: Context, file: BinaryIO, count: int) -> bytes:
    data = bytearray()
    while chunk := file.read(min(BLOCK, count - len(data))):
        data += chunk
        ctx.progress(len(data), count, unit="B")
        ctx.checkpoint()
    return bytes(data)


def _text(data: bytes, encoding: str, cut: tuple[bool, bool]) -> str | bytes:
    """Decode; a character that the cut at either end went through is left out, not an error."""
    start, end = 0, len(data)
    for _ in range(8):
        try:
            return data[start:end].decode(encoding)
        except UnicodeDecodeError as error:
            if cut[0] and error.start == 0 and start < 3:
                start += 1
            elif cut[1] and start + error.start >= end - 3:
                end = start + error.start
            else:
                break
    return data
