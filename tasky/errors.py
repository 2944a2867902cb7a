"""Every error of Tasky, one base. The docstring is the message, `code` is for machines.

A message says what happened, to which object, and what to do. The fields of an error fill the
braces of its docstring; they cross the wire with the code, so an error raised by a server comes
back from a REST client as the same class.

Sources of the numbers: HTTP status codes from RFC 9110, 507 from RFC 4918, exit codes below 64 from
the command line's own contract, 65 to 78 from BSD's sysexits.h.
"""

import difflib
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: `pointer` is a JSON pointer (RFC 6901) into the request, `detail` a
    sentence.
    """

    pointer: str
    detail: str


class TaskyError(Exception):
    """Tasky could not do that."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 5
    serve_exit_code: ClassVar[int] = 1
    by_code: ClassVar[dict[str, type["TaskyError"]]] = {}

    def __init__(self, *, errors: Iterable[FieldError] = (), **fields: Any) -> None:
        self.fields = fields
        self.errors = tuple(errors)
        super().__init__(self._sentence())

    def __init_subclass__(cls) -> None:
        TaskyError.by_code[cls.code] = cls

    def _sentence(self) -> str:
        template = " ".join((type(self).__doc__ or "").split())
        return string.Formatter().vformat(template, (), _Blank(self.fields))

    @classmethod
    def from_wire(cls, code: str, detail: str, errors: Iterable[FieldError] = ()) -> "TaskyError":
        """Make the error again that a server sent; an unknown code gives a plain `TaskyError`."""
        error = cls.by_code.get(code, TaskyError)(errors=errors)
        error.args = (detail,)
        return error


class _Blank(dict[str, Any]):
    """A missing field reads as "?" instead of hiding the error behind a KeyError."""

    def __missing__(self, key: str) -> str:
        return "?"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean x?` for the closest of `known`, or nothing; to end a sentence with."""
    match = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean {match[0]}?" if match else ""


# -- what is not there ---------------------------------------------------------------------------


class NotFound(TaskyError):
    """There is no {what} {name}. List what there is, then use a name from the list."""

    code, status, exit_code = "not_found", 404, 3


class TaskUnknown(NotFound):
    """There is no task {id} in {db}. "tasky tasks" lists the tasks there are; ended ones are
    removed by retention.
    """

    code = "task_unknown"


class IdAmbiguous(NotFound):
    """{id} fits {n} tasks: {some}. Give more characters."""

    code = "id_ambiguous"


class WorkerUnknown(NotFound):
    """There is no worker {name}.{near} "tasky workers" lists all."""

    code = "worker_unknown"


# -- what is wrong with the request --------------------------------------------------------------


class BadRequest(TaskyError):
    """{what} is wrong: {why}. Change it and try again."""

    code, status, exit_code = "bad_request", 400, 2


class ConfigInvalid(BadRequest):
    """{n} of {m} fields of {worker} are wrong. "tasky workers {worker}" shows what it takes."""

    code, exit_code = "config_invalid", 4


class QueryInvalid(BadRequest):
    """{why}"""

    code = "query_invalid"


class SettingsInvalid(BadRequest):
    """The settings in {file} are wrong, nothing was started: {why}. Correct the file and start
    again.
    """

    code, serve_exit_code = "settings_invalid", 78


class BodyTooLarge(BadRequest):
    """The request body is larger than {limit} bytes. Send less at a time."""

    code, status = "body_too_large", 413


class HeadTooLarge(BadRequest):
    """The request line and headers are larger than {limit} bytes. Send less."""

    code, status = "head_too_large", 431


class MediaTypeWrong(BadRequest):
    """The request body has the type {given}. Send application/json in UTF-8."""

    code, status = "media_type_wrong", 415


# -- what is refused -----------------------------------------------------------------------------


class Conflict(TaskyError):
    """{object} was changed by somebody else. Read it again and repeat."""

    code, status, exit_code = "conflict", 409, 4


class StatusConflict(Conflict):
    """{id} is {state} since {since}; {action} is possible only when {states}.
    Nothing was changed.
    """

    code = "status_conflict"


class WorkerDisabled(Conflict):
    """The worker {name} is disabled{why}. Nothing was submitted; enable it first, or use
    another.
    """

    code = "worker_disabled"


class KeyTaken(Conflict):
    """The open task {id} has the key {key} already. Wait for it, or use another key."""

    code = "key_taken"


class WorkerTaken(Conflict):
    """There are two workers with the name {name}: {here} and {there}. Rename one of them."""

    code = "worker_taken"


class NotSupported(Conflict):
    """The worker {worker} cannot {action}: {why}. Nothing was changed."""

    code = "not_supported"


class VersionConflict(Conflict):
    """{object} has version {version}, not {given}. Read it again and repeat."""

    code, status = "version_conflict", 412


class IdempotencyMismatch(Conflict):
    """The idempotency key {key} was used with another request. Use a new key for a new request."""

    code, status = "idempotency_mismatch", 422


class Unauthorized(TaskyError):
    """The server wants a valid token. Give --token-file or TASKY_TOKEN."""

    code, status, exit_code = "unauthorized", 401, 4


class TooManyAttempts(TaskyError):
    """Too many wrong tokens from this address; next try in {n} s."""

    code, status, exit_code = "too_many_attempts", 429, 4


class Forbidden(TaskyError):
    """That is not allowed: {why}."""

    code, status, exit_code = "forbidden", 403, 4


class MethodNotAllowed(TaskyError):
    """{path} does not take {method}. It takes {allowed}."""

    code, status, exit_code = "method_not_allowed", 405, 4


# -- files of workers ----------------------------------------------------------------------------


class PathRefused(TaskyError):
    """{path} is outside the file roots ({roots}). Use a path inside, or start with --root DIR."""

    code, status, exit_code = "path_refused", 403, 4


class FileProblem(TaskyError):
    """{path} {why}. {hint}"""

    code, status, exit_code = "file_problem", 409, 4


# -- the database --------------------------------------------------------------------------------


class DatabaseProblem(TaskyError):
    """The database {db} cannot be used: {why}. {hint}"""

    code, status, serve_exit_code = "database_problem", 503, 74


class DatabaseOwned(DatabaseProblem):
    """{db} belongs to pid {pid} (tasky {verb}, since {since}). {hint} A database never has two
    owners.
    """

    code, serve_exit_code = "database_owned", 69


class DatabaseNewer(DatabaseProblem):
    """{db} was written by Tasky with schema {theirs}, this is schema {ours}. It was not touched.
    Use the Tasky that wrote it or a later one.
    """

    code, serve_exit_code = "database_newer", 76


class DatabaseDamaged(DatabaseProblem):
    """{db} failed its check: {finding}. Nothing was written. "tasky db restore FILE" brings a
    backup back.
    """

    code, serve_exit_code = "database_damaged", 65


class DatabaseForeign(DatabaseProblem):
    """{db} is not a Tasky database ({why}). It was not touched. Give another path with --db."""

    code, serve_exit_code = "database_foreign", 65


class DatabaseUnwritable(DatabaseProblem):
    """{db} cannot be written ({why}). Check the folder and its rights, or give another path with
    --db.
    """

    code, serve_exit_code = "database_unwritable", 73


class DiskFull(DatabaseProblem):
    """No space left for {db}: new tasks and changes are refused, running tasks and reading go on.
    Free some space; Tasky recovers by itself.
    """

    code, status, serve_exit_code = "disk_full", 507, 73


class Busy(DatabaseProblem):
    """Too many writes are waiting ({n}). Nothing was changed; try again in a moment."""

    code = "busy"


class OutcomeUnknown(DatabaseProblem):
    """The answer did not come within {seconds} s, so the change may or may not be there. Look
    before you repeat it, or repeat it with the same idempotency key.
    """

    code = "outcome_unknown"


# -- the server ----------------------------------------------------------------------------------


class ServerUnreachable(TaskyError):
    """No server answers at {url} ({reason}). Nothing was changed. Start it there with "tasky
    serve", or leave out --url to work on the database file.
    """

    code, status = "server_unreachable", 503


class Stopping(TaskyError):
    """The server is stopping: new starts are refused, queued tasks stay in the database. Try again
    when it is back.
    """

    code, status = "stopping", 503


class PortTaken(TaskyError):
    """The port {port} on {host} is in use ({why}). Stop the other program, or choose another with
    --port N (--port 0 takes a free one).
    """

    code, status, serve_exit_code = "port_taken", 503, 69


class PortRefused(TaskyError):
    """The port {port} on {host} cannot be opened ({why}). Choose another: --port N, or --port 0."""

    code, status, serve_exit_code = "port_refused", 503, 77


class UnsafeConfiguration(TaskyError):
    """Refused to start: {why}. {hint}"""

    code, status, exit_code, serve_exit_code = "unsafe_configuration", 500, 4, 78


class WaitedTooLong(TaskyError):
    """{id} is still {state} after {seconds} s. It goes on; "tasky wait {id}" waits again."""

    code, status, exit_code = "waited_too_long", 504, 124


class Internal(TaskyError):
    """Tasky made an error ({kind}, report {id}). Nothing was changed. The report is in the server's
    log.
    """

    code, status = "internal", 500
