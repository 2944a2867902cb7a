"""Teaches the shortest worker with progress: read, count, check."""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from tasky import Context, Param, worker

BLOCK = 1024 * 1024
Algorithm = Literal["sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake2s"]


@worker(idempotent=True)
def hash_file(
    ctx: Context,
    path: Annotated[Path, Param("The file to read.", path="file", examples=("data.csv",))],
    algorithm: Annotated[Algorithm, Param("How to hash it.")] = "sha256",
) -> dict[str, Any]:
    """Compute the checksum of a file."""
    digest = hashlib.new(algorithm)
    with ctx.files.open_read(path) as file:
        total = os.fstat(file.fileno()).st_size
        done = block = 0
        while chunk := file.read(BLOCK):
            digest.update(chunk)
            done, block = done + len(chunk), block + 1
            ctx.progress(done, max(done, total), unit="B")
            ctx.checkpoint(f"block {block}")
    return {"path": str(path), "algorithm": algorithm, "hash": digest.hexdigest(), "bytes": done}
