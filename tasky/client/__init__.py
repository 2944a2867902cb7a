"""One client protocol: in process, over REST, and the choice between them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasky.client.session import Session
    from tasky.errors import DatabaseOwned
    from tasky.store.owner import Runtime


def connect(url_or_path: str | Path, *, token: str | None = None) -> "Session":
    """Return the verbs of `Tasky` for a running server.

    Takes the address of a server, or the path of a database whose owner serves it; the owner's
    local token is found beside the file. Raises `ServerUnreachable` when nobody answers there.
    """
    from tasky.client.http import HttpClient
    from tasky.client.session import Session
    from tasky.errors import ServerUnreachable

    text = str(url_or_path)
    if "://" in text:
        return Session(HttpClient(text, token or os.environ.get("TASKY_TOKEN")))
    runtime = owner_of(Path(text))
    if runtime is None or not runtime.address:
        raise ServerUnreachable(url=text, reason="nobody serves that database")
    return Session(HttpClient(runtime.address, token or runtime.token))


def owner_of(database: Path) -> "Runtime | None":
    """Return what the living owner of a database says about itself, None when nobody owns it."""
    from tasky.store.owner import living_owner

    return living_owner(database)


def owned_error(database: Path) -> "DatabaseOwned":
    """Return the error that says who owns a database and how to join."""
    from tasky.store.owner import owned_error as error

    return error(database)
