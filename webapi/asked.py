"""One request, as the handlers see it."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tasky.client.base import Client
from tasky.errors import FieldError, VersionConflict
from webapi import body
from webapi.auth import Identity
from webapi.forms import F, fill
from webapi.params import Params, wrong
from webapi.places import Places

if TYPE_CHECKING:
    from webapi.answers import Header

T = TypeVar("T")

_ETAG = re.compile(r'"(\d{1,18})"')


class Asked:
    """A request that passed the gates; `client` acts for who sent it."""

    __slots__ = ("client", "environ", "headers", "identity", "places")

    def __init__(
        self, environ: dict[str, Any], client: Client, identity: Identity, places: Places
    ) -> None:
        self.environ = environ
        self.client = client
        self.identity = identity
        self.places = places
        self.headers: list[Header] = []

    def params(self, *known: str, prefix: str | None = None) -> Params:
        """Return the query parameters. Raises `BadRequest` for one that is not `known`."""
        return Params(self.environ.get("QUERY_STRING", ""), known, prefix)

    def json(self, limit: int = body.MAX_BYTES) -> Any:
        """Return the JSON value of the body. Raises `BadRequest` without one."""
        value = body.read(self.environ, limit)
        if value is body.NOTHING:
            raise body.refusal([FieldError("", "Is missing.")], "the body")
        return value

    def form(self, form: type[F]) -> F:
        return fill(form, self.json())

    def optional_object(self) -> dict[str, Any]:
        """Return the object in the body, an empty one for none."""
        value = body.read(self.environ)
        if value is body.NOTHING:
            return {}
        if not isinstance(value, dict):
            raise body.refusal([FieldError("", "Must be an object.")], "the body")
        return value

    def idempotency_key(self) -> str | None:
        key: str | None = self.environ.get("HTTP_IDEMPOTENCY_KEY")
        if key is not None and not (0 < len(key) <= 255):
            raise wrong("Idempotency-Key", "Must have 1 to 255 characters")
        return key

    # -- versions -------------------------------------------------------------------------------

    def if_match(self) -> int | None:
        """Return the version the client insists on. Raises `VersionConflict` for an odd one."""
        given = self.environ.get("HTTP_IF_MATCH")
        if given is None or given.strip() == "*":
            return None
        found = _ETAG.fullmatch(given.strip())
        if found is None:
            raise VersionConflict(object=self.environ["PATH_INFO"], version="?", given=given[:40])
        return int(found[1])

    def has(self, version: int) -> bool:
        """Tell whether the client says that it has this version already."""
        given = self.environ.get("HTTP_IF_NONE_MATCH")
        if given is None:
            return False
        return given.strip() == "*" or str(version) in _ETAG.findall(given)

    # -- waiting --------------------------------------------------------------------------------

    def wait(self, seconds: float, look: Callable[[float], T], good: Callable[[T], bool]) -> T:
        """Return what `look` finds, within `seconds` if a waiting place is free, else at once."""
        with self.places.taken(seconds) as granted:
            self._tell_no_place(seconds, granted)
            return self.places.look(granted, look, good, self._gone)

    def act(self, seconds: float, call: Callable[[float], T]) -> T:
        """Return what `call(seconds it may wait)` does; it is called once."""
        with self.places.taken(seconds) as granted:
            self._tell_no_place(seconds, granted)
            return call(granted)

    def _tell_no_place(self, wanted: float, granted: float) -> None:
        if granted < wanted:
            # A client that asks again at once would only keep the server busy.
            self.headers.append(("Retry-After", "1"))

    def _gone(self) -> bool:
        gone = self.environ.get("waitress.client_disconnected")
        return bool(gone and gone())
