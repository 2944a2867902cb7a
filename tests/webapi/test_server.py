"""The server over real sockets: malformed, large and slow clients, and the stop."""

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeVar

import msgspec
import pytest

from tasky.errors import BadRequest, PortTaken, UnsafeConfiguration
from tests.webapi import wire_talk
from tests.webapi.stage import PATIENCE_S, Stage, app_of, served
from tests.webapi.wire_talk import connect, head, one_answer, parsed, talk
from webapi import channel
from webapi import server as server_module
from webapi.answers import SECURITY_HEADERS
from webapi.server import Server, connection_limit

T = TypeVar("T")

WORKERS = "/tasky/v1/workers"
OK = "GET /healthz HTTP/1.1"


def test_two_requests_share_a_connection(server: Server) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(head(server, OK))
            assert one_answer(connection).status == 200


def test_answers_do_not_name_the_server(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(head(server, OK))
        assert "server" not in one_answer(connection).headers


def test_a_chunked_body_is_read(server: Server) -> None:
    first = f"POST {WORKERS}/echo?hold=1 HTTP/1.1"
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    with connect(server) as connection:
        connection.sendall(head(server, first, *lines) + b"2\r\n{}\r\n0\r\n\r\n")
        assert one_answer(connection).status == 201


# -- what waitress refuses -------------------------------------------------------------------------

MALFORMED = {
    "no method": b"\x00\x01\x02\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "no Host, HTTP/1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "two Hosts": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "two targets": b"GET /healthz /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "absolute target": b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "both lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Content-Length: 6\r\n\r\n",
    "negative length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "signed length": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "space in a name": b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
    "folded first header": b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "bad IPv6 target": b"GET //[ HTTP/1.1\r\nHost: localhost, \r\n\r\n",
}
SECOND = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_end_the_connection(server: Server, data: bytes) -> None:
    answer = talk(server, data + SECOND)

    first = parsed(answer)
    assert first.status == 400
    assert answer.count(b"HTTP/1.1 200") == answer.count(b"HTTP/1.0 200") == 0
    assert first.headers["content-type"] == "application/problem+json"
    assert msgspec.json.decode(first.body)["code"] == "bad_request"
    for name, value in SECURITY_HEADERS:
        assert first.headers[name.lower()] == value.lower()


LARGE = {
    "5 GB": (("POST / HTTP/1.1", "Content-Length: 5000000000"), b"", 413),
    "endless chunks": (
        ("POST / HTTP/1.1", "Transfer-Encoding: chunked"),
        b"100000\r\n" + b"x" * 0x100000 + b"\r\n",
        413,
    ),
    "20 KB of target": (("GET /" + "x" * 20_000 + " HTTP/1.1",), b"", 431),
    "10,000 headers": (("GET / HTTP/1.1", *(f"X-{n}: y" for n in range(10_000))), b"", 431),
}


@pytest.mark.parametrize(("lines", "more", "status"), LARGE.values(), ids=LARGE)
def test_oversize_is_refused_and_closed(
    server: Server, lines: tuple[str, ...], more: bytes, status: int
) -> None:
    with connect(server) as connection:
        with ExitStack() as closed_early:
            closed_early.enter_context(_ignoring_close())
            connection.sendall(head(server, *lines))
            for _ in range(9 if more else 0):
                connection.sendall(more)
        data = wire_talk.until_closed(connection)

    if data:  # a close with our bytes unread resets the connection, and may take the answer along
        assert parsed(data).status == status
        assert parsed(data).headers["content-type"] == "application/problem+json"


class _ignoring_close:  # noqa: N801  # used as a statement
    """The server may close while we still send."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, (BrokenPipeError, ConnectionResetError))


# -- slow clients ----------------------------------------------------------------------------------


class Hand:
    """`time`, as the channel sees it, with a monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(channel, "time", hand)
    return hand


@pytest.fixture
def slow(stage: Stage, hand: Hand) -> Iterator[Server]:
    """A server whose deadlines follow the clock in `hand`."""
    with served(stage.client) as server:
        yield server


HALF: dict[str, tuple[Callable[[Server], bytes], float]] = {
    "nothing": (lambda s: b"", channel.HEAD_S),
    "half a head": (lambda s: head(s, OK)[:-2], channel.HEAD_S),
    "half a body": (
        lambda s: head(s, f"POST {WORKERS}/echo HTTP/1.1", "Content-Length: 9") + b"{",
        channel.BODY_S,
    ),
}


@pytest.mark.parametrize(("data", "deadline_s"), HALF.values(), ids=HALF)
def test_a_request_has_a_deadline_that_single_bytes_do_not_move(
    slow: Server, hand: Hand, data: Callable[[Server], bytes], deadline_s: float
) -> None:
    with connect(slow) as connection:
        connection.sendall(data(slow))
        _settled(slow, 1, len(data(slow)))
        hand.now += deadline_s - 1
        assert not _drops(slow)
        if data(slow):
            connection.sendall(b"X")
            _settled(slow, 1, len(data(slow)) + 1)
        hand.now += 2
        assert _drops(slow)
        assert wire_talk.until_closed(connection) == b""


def test_an_idle_connection_lives_longer_and_then_ends(slow: Server, hand: Hand) -> None:
    with connect(slow) as connection:
        connection.sendall(head(slow, OK))
        assert one_answer(connection).status == 200
        _settled(slow, 1)
        hand.now += channel.IDLE_S - 1
        assert not _drops(slow)
        hand.now += 2
        assert _drops(slow)
        assert wire_talk.until_closed(connection) == b""


def test_who_does_not_read_is_let_go(stage: Stage, slow: Server, hand: Hand) -> None:
    task_id = stage.client.wait(_much(stage), PATIENCE_S).id
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", slow.port))
        connection.settimeout(PATIENCE_S)
        connection.sendall(head(slow, f"GET /tasky/v1/task/{task_id}/output HTTP/1.1") * 8)
        _until(slow, lambda: any(c.total_outbufs_len > 100_000 for c in _channels(slow)))
        while not _drops(slow):
            # The kernel may have taken some more meanwhile; its buffers are finite.
            hand.now += channel.STALL_S + 1
        _until(slow, lambda: not _channels(slow))


def _much(stage: Stage) -> str:
    from tasky.model import Submit

    return stage.client.submit(Submit(worker="give", config={"kind": "much"})).id


def test_a_newcomer_past_the_limit_ends_the_oldest_half_sent_request(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "connection_limit", lambda: 20)
    with served(stage.client) as crowded, ExitStack() as stack:
        sockets = [stack.enter_context(connect(crowded)) for _ in range(60)]
        for slowly in sockets:
            with _ignoring_close():
                slowly.sendall(b"GET / HT")

        with connect(crowded) as good:
            good.sendall(head(crowded, OK))
            assert one_answer(good).status == 200
        assert wire_talk.until_closed(sockets[0]) == b""


def _channels(server: Server) -> list[channel.Channel]:
    assert server.listener is not None
    return list(server.listener.active_channels.values())


def _settled(server: Server, count: int, sent: int | None = None) -> None:
    """Wait until the loop has taken in what was sent."""

    def there() -> bool:
        found = _channels(server)
        taken = sum(_taken(c) for c in found)
        idle = not any(c.requests or c.total_outbufs_len for c in found)
        return len(found) == count and idle and sent in (None, taken)

    _until(server, there)


def _taken(found: channel.Channel) -> int:
    request = found.request
    if request is None:
        return 0
    return int(request.header_bytes_received + request.body_bytes_received)


def _drops(server: Server) -> bool:
    """Run the maintenance in the loop; tell whether it dropped a connection."""
    assert server.listener is not None
    listener = server.listener

    def check() -> bool:
        listener.maintenance(0.0)
        return any(c.will_close for c in listener.active_channels.values())

    return _in_loop(server, check)


def _in_loop(server: Server, ask: Callable[[], T]) -> T:
    """Return what `ask` says in the loop of the server, between two rounds."""
    assert server.listener is not None
    done, answers = threading.Event(), list[T]()

    def run() -> None:
        answers.append(ask())
        done.set()

    server.listener.trigger.pull_trigger(run)
    assert done.wait(PATIENCE_S)
    return answers[0]


def _until(server: Server, fact: Callable[[], bool]) -> None:
    """Wait for a fact of the loop; there is no signal for it, so each round is asked."""
    until = time.monotonic() + PATIENCE_S
    while not _in_loop(server, fact):
        assert time.monotonic() < until, "it did not come true in time"


# -- start and stop --------------------------------------------------------------------------------


def test_a_taken_port_is_an_error_with_a_way_out(server: Server) -> None:
    with pytest.raises(PortTaken, match=r"in use .* --port") as refusal:
        Server(port=server.port)
    assert refusal.value.serve_exit_code == 69


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])  # noqa: S104  # refused
def test_other_machines_are_not_served_without_tls(host: str) -> None:
    with pytest.raises(UnsafeConfiguration) as refusal:
        Server(host)
    assert refusal.value.serve_exit_code == 78


@pytest.mark.parametrize("host", ["example.com", "", "127.0.0", "localhost.localdomain"])
def test_a_host_is_an_address_of_this_machine(host: str) -> None:
    with pytest.raises(BadRequest):
        Server(host)


def test_a_port_is_a_port() -> None:
    with pytest.raises(BadRequest):
        Server(port=65_536)


def test_the_limit_of_connections_fits_below_that_of_descriptors(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits = [(256, 256), (1_024, 1_048_576), (256, -1)]
    given = iter(limits)
    raised: list[object] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: next(given))
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: raised.append(to))

    assert [connection_limit() for _ in limits] == [56, 1_000, 1_000]
    assert raised == [(4_096, 1_048_576), (4_096, -1)]
    assert "only 56 connections" in caplog.text


def test_a_stop_answers_who_waits_and_leaves_nothing_open(stage: Stage) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names are all there is
    with served(stage.client) as server, connect(server) as waiting:
        waiting.sendall(head(server, f"GET /tasky/v1/events?after={1 << 40}&wait=60 HTTP/1.1"))
        _until(server, lambda: any(c.requests for c in _channels(server)))
        server.stop(PATIENCE_S)
        answer = one_answer(waiting)
        assert (answer.status, msgspec.json.decode(answer.body)["items"]) == (200, [])
        with pytest.raises(ConnectionRefusedError):
            connect(server)
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 2  # noqa: PTH208  # readers of the store


def test_a_stop_does_not_wait_for_clients_that_are_slow(stage: Stage) -> None:
    with served(stage.client) as server, connect(server) as slow:
        slow.sendall(b"GET /heal")
        _settled(server, 1, 9)
        server.stop(PATIENCE_S)
        assert wire_talk.until_closed(slow) == b""


def test_a_server_that_never_started_stops_too(stage: Stage) -> None:
    server = Server()
    server.stop()
    Server(port=server.port).stop()


def test_a_stopped_server_stops_again(stage: Stage) -> None:
    server = Server(threads=2)
    server.start(app_of(stage.client, port=server.port))
    server.stop()
    server.stop()
