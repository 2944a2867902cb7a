"""Reads the `.sql` files: every statement has a name, a line saying why, and its text.

A statement begins with `-- name --` on a line of its own and ends at the next name.
"""

import functools
import re
from importlib import resources

_HEAD = re.compile(r"^-- ([a-z_0-9]+) --$", re.MULTILINE)


class Queries:
    """The statements of one file as attributes: `Queries("tasks").insert_task`."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.statements = load(noun)

    def __getattr__(self, name: str) -> str:
        try:
            statement = self.statements[name]
        except KeyError:
            raise AttributeError(f"{self.noun}.sql has no statement {name!r}") from None
        self.__dict__[name] = statement
        return statement


@functools.cache
def load(noun: str) -> dict[str, str]:
    """Return the statements of `sql/<noun>.sql` by name, comments removed.

    Raises ValueError when a name comes twice.
    """
    text = resources.files("tasky.store").joinpath("sql", f"{noun}.sql").read_text("utf-8")
    parts = _HEAD.split(text)[1:]
    statements: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in statements:
            raise ValueError(f"{noun}.sql has two statements named {name}")
        statements[name] = _strip(body)
    return statements


def _strip(body: str) -> str:
    lines = (line for line in body.splitlines() if not line.lstrip().startswith("--"))
    return "\n".join(lines).strip().rstrip(";")
