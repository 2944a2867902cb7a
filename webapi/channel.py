"""Waitress's connections, made safe against slow and malformed clients.

The hooks overridden here are no promised interface of waitress: the version is pinned, and the
tests of this module guard what it relies on.
"""

import contextlib
import logging
import socket
import time
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask

from tasky.errors import BadRequest, BodyTooLarge, HeadTooLarge, Internal, TaskyError
from webapi.answers import SECURITY_HEADERS, problem, status_line

HEAD_S = 10.0
BODY_S = 30.0
IDLE_S = 60.0
STALL_S = 30.0
CROWDED = 0.8
"""Share of the connection limit from which on a newcomer ends the oldest half-sent request."""
MAX_UNFINISHED = 256 * 1024 * 1024
"""Bytes of bodies that have not arrived wholly, over all connections."""
ACCEPTS = 128
"""Connections taken in one round; waitress takes one, and a flood would starve everybody else."""

log = logging.getLogger("tasky.web")


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Refuses what two servers could understand differently.

    Source: RFC 9112, sections 3.2 and 6.1.
    """

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if header_plus == _STAND_IN:
            return
        host = self.headers.get("HOST")
        if host is None or "," in host:
            raise ParsingError("there must be one Host header")
        if self.proxy_scheme or self.proxy_netloc:
            raise ParsingError("the target must begin with a slash")
        if "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("Transfer-Encoding takes HTTP/1.1")
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Transfer-Encoding and Content-Length exclude each other")


_STAND_IN = b"GET / HTTP/1.0\r\n"
"""What waitress parses in place of a head that is too large."""


class Refusal(ErrorTask):  # type: ignore[misc]
    """What waitress refuses, as a problem document with our headers."""

    def execute(self) -> None:
        answer = problem(_explain(self.request.error, self.channel.adj))
        body = bytes(answer.body)  # type: ignore[arg-type]  # a problem comes in one piece
        self.status = status_line(answer.status)
        self.response_headers.extend(
            [("Content-Type", answer.media_type), *answer.headers, *SECURITY_HEADERS]
        )
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


def _explain(error: Any, adj: Adjustments) -> TaskyError:
    if error.code == 431:
        return HeadTooLarge(limit=adj.max_request_header_size)
    if error.code == 413:
        return BodyTooLarge(limit=adj.max_request_body_size)
    if error.code == 500:
        return Internal(kind="server", id="none")
    return BadRequest(what="the HTTP request", why=str(error.body)[:200])


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection, with deadlines that a byte now and then does not move."""

    parser_class = Parser
    error_task_class = Refusal

    def __init__(self, *args: Any, **named: Any) -> None:
        self.held = 0
        self.since = self.moved = time.monotonic()
        self.patience_s = HEAD_S
        super().__init__(*args, **named)

    @property
    def half_sent(self) -> bool:
        """Whether there is nothing to do but to wait for the client."""
        return not (self.requests or self.total_outbufs_len or self.will_close)

    def received(self, data: bytes) -> bool:
        """Take bytes in; what the client owes us next has a deadline from its own beginning."""
        before = self._owed()
        done: bool = super().received(data)
        after = self._owed()
        if after != before or after == IDLE_S:
            self.since, self.patience_s = time.monotonic(), after
        self._hold(self.request.body_bytes_received if self.request else 0)
        return done

    def _owed(self) -> float:
        if self.request is None:
            return IDLE_S
        return BODY_S if self.request.headers_finished else HEAD_S

    def _hold(self, unfinished: int) -> None:
        self.server.unfinished += unfinished - self.held
        self.held = unfinished

    def _flush_some(self, do_close: bool = True) -> bool:
        sent: bool = super()._flush_some(do_close=do_close)
        if sent:
            self.moved = time.monotonic()
        return sent

    def overdue(self, now: float) -> bool:
        """Tell whether the client let its time pass."""
        if self.total_outbufs_len:
            return now - self.moved > STALL_S
        self.moved = now
        if self.requests:
            self.since = now
            return False
        return now - self.since > self.patience_s

    def drop(self) -> None:
        """Close in the next round.

        Closing within one would hand our descriptor, with the events waiting for it, to a newcomer.
        """
        self.will_close = True
        with contextlib.suppress(OSError):
            # Without this a connection whose client does not read is never found writable.
            self.socket.shutdown(socket.SHUT_RDWR)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002  # waitress's name
        self._hold(0)
        super().del_channel(map)


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """The listening socket and its loop; ends by `finish`, from any thread."""

    channel_class = Channel

    def __init__(self, *args: Any, **named: Any) -> None:
        self.unfinished = 0
        self._until: float | None = None
        self._woken = False
        super().__init__(*args, **named)

    def handle_accept(self) -> None:
        for _ in range(ACCEPTS):
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                return
            if before >= CROWDED * self.adj.connection_limit:
                self._evict()
            if before + 8 >= self.adj.connection_limit:
                return

    def _evict(self) -> None:
        """Drop the oldest connection that only waits for its client."""
        # They stand in the order of their arrival.
        oldest = next((c for c in self.active_channels.values() if c.half_sent), None)
        if oldest is not None:
            oldest.drop()

    def maintenance(self, now: float) -> None:
        moment = time.monotonic()
        for channel in list(self.active_channels.values()):
            if channel.overdue(moment):
                channel.drop()
        if self.unfinished > MAX_UNFINISHED:
            self._evict()

    def readable(self) -> bool:
        # Asked before all connections in each round, so whatever was changed before is seen.
        self._woken = False
        return bool(super().readable())

    def pull_trigger(self) -> None:
        """Wake the loop, once per round: each write costs a change of threads."""
        if not self._woken:
            self._woken = True
            super().pull_trigger()

    def run(self) -> None:
        """Serve until `finish`, then until the last answer is out or the time is over."""
        while not self._finished():
            wasyncore.poll2(self.adj.asyncore_loop_timeout, self._map)
        # Not the trigger: a thread that ends later would write into what has its number by then.
        wasyncore.dispatcher.close(self)
        for channel in list(self.active_channels.values()):
            channel.handle_close()

    def let_go(self) -> None:
        """Close what is left, once no thread serves a request any more."""
        self.trigger.close()

    def finish(self, within_s: float) -> None:
        """Take no new connection, and end the loop once all answers are out."""
        self._until = time.monotonic() + within_s
        self.pull_trigger()

    def _finished(self) -> bool:
        if self._until is None:
            return False
        self.accepting = False
        self.adj.asyncore_loop_timeout = 0.1
        busy = any(c.requests or c.total_outbufs_len for c in self.active_channels.values())
        return not busy or time.monotonic() >= self._until
