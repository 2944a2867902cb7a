"""Errors that only a server over HTTP can have; all others are in `tasky.errors`."""

from tasky.errors import TaskyError


class TooManyAttempts(TaskyError):  # noqa: N818  # named after what happened, as all are
    """Too many wrong tokens from this address; next try in {n} s."""

    code, status, exit_code = "too_many_attempts", 429, 4


class HeadTooLarge(TaskyError):  # noqa: N818
    """The request line and headers are larger than {limit} bytes. Send less."""

    code, status, exit_code = "head_too_large", 431, 4


class PortRefused(TaskyError):  # noqa: N818
    """The port {port} on {host} cannot be opened ({why}). Choose another: --port N, or --port 0."""

    code, status, serve_exit_code = "port_refused", 503, 77
