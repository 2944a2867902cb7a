"""The report over a window."""

from tasky.client import wire
from webapi.answers import Answer, json
from webapi.asked import Asked
from webapi.auth import Role
from webapi.table import API, Table


def register(table: Table) -> None:
    table.add("GET", f"{API}/statistics", handler=statistics, role=Role.VIEWER)


def statistics(asked: Asked) -> Answer:
    params = asked.params("since", "by", "step", "worker")
    step_s = params.seconds("step", low=1)
    found = asked.client.stats(
        params.moment("since"),
        worker=params.maybe("worker"),
        by=params.maybe("by"),
        step_s=None if step_s is None else int(step_s),
    )
    return json(wire.stats(found))
