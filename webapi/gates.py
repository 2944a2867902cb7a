"""The checks before a handler, in their order; what no gate lets pass is refused.

limits (waitress) → Host → Fetch-Metadata and Origin → credentials → role → handler.
Source: W3C Fetch Metadata Request Headers; RFC 9110 section 7.2 (Host), RFC 6454 (Origin).
"""

import re
from collections.abc import Collection
from typing import Any

from tasky.errors import BadRequest, Forbidden
from webapi.auth import NOBODY, Auth, Identity, Role

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Origins:
    """The names under which this server is reached; anything else is somebody else's page."""

    def __init__(self, port: int, names: Collection[str] = LOOPBACK_NAMES) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._hosts = self._names | {f"{name}:{port}" for name in self._names}
        # A browser leaves the port out where it is the scheme's own.
        suffix = "" if port == 80 else f":{port}"
        self._origins = frozenset(f"http://{name}{suffix}" for name in self._names)

    def check_host(self, host: str | None) -> None:
        """Raise `BadRequest` unless there is one good Host, `Forbidden` unless it is ours."""
        given = (host or "").lower()
        if given in self._hosts:
            return
        if not _HOST.fullmatch(given):
            raise BadRequest(
                what="the Host header", why="there must be one name, with a port or not"
            )
        raise Forbidden(why="the Host header names another server")

    def check_origin(self, environ: dict[str, Any], allowed_sites: Collection[str]) -> None:
        """Raise `Forbidden` when a page that is not ours sent the request."""
        site = environ.get("HTTP_SEC_FETCH_SITE")
        if site is not None and site not in allowed_sites:
            raise Forbidden(why="a page of another site sent the request")
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin.lower() not in self._origins:
            raise Forbidden(why="a page of another origin sent the request")


API_SITES = frozenset({"same-origin"})
PAGE_SITES = frozenset({"same-origin", "none"})
"""`none` is an address that a person typed; an API has no use for that."""


class Gates:
    """All gates but the role, which needs the route."""

    def __init__(self, origins: Origins, auth: Auth, open_paths: frozenset[str]) -> None:
        self._origins = origins
        self._auth = auth
        self._open_paths = open_paths

    def enter(self, environ: dict[str, Any]) -> Identity:
        """Return who asks, or raise why the request goes no further."""
        self._origins.check_host(environ.get("HTTP_HOST"))
        is_open = environ["PATH_INFO"] in self._open_paths
        self._origins.check_origin(environ, PAGE_SITES if is_open else API_SITES)
        return NOBODY if is_open else self._auth.identify(environ)


def require(role: Role, identity: Identity) -> None:
    """Raise `Forbidden` unless `identity` may do what takes `role`."""
    if identity.role < role:
        raise Forbidden(
            why=f"your role is {identity.role.name.lower()}, it takes {role.name.lower()}"
        )
