"""Whether the process lives, and whether it can answer; open to all."""

from webapi.answers import Answer, json
from webapi.asked import Asked
from webapi.auth import Role
from webapi.table import Table


def register(table: Table) -> None:
    table.add("GET", "/healthz", handler=alive, role=Role.OPEN)
    table.add("GET", "/readyz", handler=ready, role=Role.OPEN)


def alive(asked: Asked) -> Answer:
    return json({"status": "ok"})


def ready(asked: Asked) -> Answer:
    """Answer 200 if the database can be read, else the error of reading it."""
    asked.client.newest_event()
    return json({"status": "ready"})
