"""The feed of all that happens."""

from webapi.answers import Answer
from webapi.asked import Asked
from webapi.auth import Role
from webapi.routes.tasks import NEWEST, history
from webapi.table import API, Table


def register(table: Table) -> None:
    table.add("GET", f"{API}/events", handler=events, role=Role.VIEWER)


def events(asked: Asked) -> Answer:
    """Answer with events after an ordinal; with `wait`, once there is one."""
    params = asked.params("after", "limit", "wait")
    return history(asked, params.number("after", 0, 0, NEWEST), params)
