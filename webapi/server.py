"""The HTTP server: waitress in threads, from the bound port to the last answer."""

import errno
import ipaddress
import logging
import os
import resource
import socket
import threading
from typing import Any

from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from tasky.errors import BadRequest, PortRefused, PortTaken, UnsafeConfiguration
from webapi.app import App
from webapi.body import MAX_BYTES_TASKS
from webapi.channel import Listener

THREADS = 64
MAX_CONNECTIONS = 1_000
OTHER_DESCRIPTORS = 200
"""Descriptors left for database, tasks and everything else."""
WANTED_DESCRIPTORS = 4_096
BACKLOG = 1_024

log = logging.getLogger("tasky.web")


class Server:
    """One bound port. `start` begins to answer, `stop` lets the answers under way leave."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, threads: int = THREADS) -> None:
        """Bind. Raises `UnsafeConfiguration` beyond loopback, `PortTaken`, `PortRefused`."""
        check_loopback(host)
        self._socket = _bound(host, port)
        self._threads = threads
        self.listener: Listener | None = None
        self._dispatcher = ThreadedTaskDispatcher()
        self._loop: threading.Thread | None = None
        self._app: App | None = None
        self.host = f"[{host}]" if ":" in host else host
        self.port: int = self._socket.getsockname()[1]
        self.address = f"http://{self.host}:{self.port}"

    def start(self, app: App) -> None:
        """Answer requests with `app`, in threads of our own."""
        self._app = app
        adj = Adjustments(sockets=[self._socket], **_settings(self._threads))
        self._dispatcher.set_thread_count(self._threads)
        sockinfo = (self._socket.family, self._socket.type, 0, self._socket.getsockname())
        self.listener = Listener(
            app, {}, True, self._socket, self._dispatcher, adj, sockinfo, bind_socket=False
        )
        self._loop = threading.Thread(target=self.listener.run, name="tasky-http", daemon=True)
        self._loop.start()

    def stop(self, grace_s: float = 2.0) -> None:
        """Answer who waits, take no new requests, wait up to `grace_s`. Twice is fine."""
        if self._app is not None:
            self._app.places.close()
        if self.listener is None or self._loop is None:
            self._socket.close()
            return
        self.listener.finish(grace_s)
        self._loop.join()
        self._dispatcher.shutdown(timeout=0.5)
        if not self._dispatcher.threads:
            self.listener.let_go()


def check_loopback(host: str) -> None:
    """Raise `UnsafeConfiguration` for a host that others reach, `BadRequest` for a bad one."""
    if host.lower() == "localhost":
        return
    try:
        safe = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise BadRequest(what="--host", why=f'"{host}" is no address of this machine') from None
    if not safe:
        raise UnsafeConfiguration(
            why=f"{host} can be reached from other machines, and there is no TLS",
            hint="Leave out --host to serve this machine only.",
        )


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise BadRequest(what="--port", why="it must be from 0 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as problem:
        taken = problem.errno == errno.EADDRINUSE
        why = os.strerror(problem.errno or 0).lower()
        raise (PortTaken if taken else PortRefused)(port=port, host=host, why=why) from None


def _settings(threads: int) -> dict[str, Any]:
    """Return what waitress is told. Source: RELIABILITY.md, section 7."""
    return {
        "threads": threads,
        "connection_limit": connection_limit(),
        "asyncore_use_poll": True,
        "channel_request_lookahead": 1,
        "max_request_header_size": 16_384,
        # Waitress refuses what is as large as its limit.
        "max_request_body_size": MAX_BYTES_TASKS + 1,
        "inbuf_overflow": 64 * 1024,
        "outbuf_high_watermark": 256 * 1024,
        "cleanup_interval": 2,
        "ident": None,
        "backlog": BACKLOG,
    }


def connection_limit() -> int:
    """Raise the soft limit of descriptors, and return how many connections fit below it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    room = MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - OTHER_DESCRIPTORS
    if room < MAX_CONNECTIONS:
        room = max(room, 16)
        log.warning("only %d connections fit below the limit of %d open files", room, soft)
    return min(room, MAX_CONNECTIONS)
