"""The route table: every way into the server, with the role it takes."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from tasky.errors import UnsafeConfiguration
from webapi.answers import Answer
from webapi.auth import Role

if TYPE_CHECKING:
    from webapi.asked import Asked

API = "/tasky/v1"

Handler = Callable[..., Answer]
"""Called with the `Asked` and the named parts of the path."""


class Route(NamedTuple):
    """One method on one path; `<name>` in it stands for one part."""

    method: str
    path: str
    handler: "Callable[[Asked], Answer] | Handler"
    role: Role


class Table:
    """Routes in the order in which they are tried."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def add(self, method: str, *paths: str, handler: Handler, role: Role | None) -> None:
        """Add a route under each of `paths`. Raises `UnsafeConfiguration` without a role."""
        for path in paths:
            if role is None:
                raise UnsafeConfiguration(
                    why=f"the route {method} {path} has no role", hint="Give it one."
                )
            if role is Role.OPEN and "<" in path:
                # Open paths are looked up before routing, so each must be one exact path.
                raise UnsafeConfiguration(
                    why=f"the open route {method} {path} stands for many paths",
                    hint="Name each path.",
                )
            self._routes.append(Route(method, path, handler, role))

    @property
    def open_paths(self) -> frozenset[str]:
        """Paths that answer without credentials."""
        closed = {route.path for route in self._routes if route.role is not Role.OPEN}
        return frozenset(r.path for r in self._routes if r.role is Role.OPEN) - closed
