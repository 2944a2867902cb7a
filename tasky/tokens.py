"""Tokens: `tsk_`, 32 random base62 characters, 6 of a checksum that finds typing errors offline.

The prefix lets scanners of repositories find one that was published by mistake. 32 characters of
base62 are 190 bits.
"""

import secrets
import string
import zlib

PREFIX = "tsk_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
LENGTH = 32
CHECK_LENGTH = 6


def new_token() -> str:
    """Return a fresh token."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return f"{PREFIX}{body}{_check(body)}"


def well_formed(token: str) -> bool:
    """Tell whether `token` can be one at all; says nothing about what it may do."""
    body, check = token[len(PREFIX) : -CHECK_LENGTH], token[-CHECK_LENGTH:]
    return (
        token.startswith(PREFIX)
        and len(body) == LENGTH
        and all(character in ALPHABET for character in body)
        and secrets.compare_digest(_check(body), check.encode("ascii", "replace").decode())
    )


def _check(body: str) -> str:
    """Return the CRC-32 of `body` in base62, most significant digit first."""
    left, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_LENGTH):
        left, digit = divmod(left, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
