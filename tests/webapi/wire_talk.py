"""HTTP spoken by hand, to say what no client library would."""

import socket
from typing import NamedTuple

from tests.webapi.stage import PATIENCE_S, TOKEN
from webapi.server import Server


class Answer(NamedTuple):
    """What came back: the status, header names in lower case, the bytes after them."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(server: Server) -> socket.socket:
    """Return a connection whose reads fail a test instead of hanging it."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def head(server: Server, first_line: str, *headers: str) -> bytes:
    """Return a request head with our Host and token unless `headers` say otherwise."""
    given = list(headers)
    if not any(h.lower().startswith("host:") for h in given):
        given.append(f"Host: 127.0.0.1:{server.port}")
    if not any(h.lower().startswith("authorization:") for h in given):
        given.append(f"Authorization: Bearer {TOKEN}")
    return "\r\n".join([first_line, *given, "", ""]).encode("latin-1")


def until_closed(connection: socket.socket) -> bytes:
    """Return all bytes up to the end of the connection."""
    pieces = []
    try:
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def one_answer(connection: socket.socket) -> Answer:
    """Return the next answer of a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        assert piece, data
        data += piece
    answer = parsed(data)
    length = int(answer.headers.get("content-length", 0))
    body = answer.body
    while len(body) < length:
        body += connection.recv(65_536)
    return answer._replace(body=body)


def parsed(data: bytes) -> Answer:
    """Return the first answer in `data`."""
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)


def talk(server: Server, data: bytes) -> bytes:
    """Send bytes, then read until the server closes."""
    with connect(server) as connection:
        connection.sendall(data)
        return until_closed(connection)
