"""Figures of host, process, pool and database."""

from webapi.answers import Answer, json
from webapi.asked import Asked
from webapi.auth import Role
from webapi.table import API, Table


def register(table: Table) -> None:
    table.add("GET", f"{API}/system", handler=system, role=Role.VIEWER)


def system(asked: Asked) -> Answer:
    asked.params()
    return json(asked.client.system())
