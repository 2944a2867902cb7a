"""What must be done now and then: fold statistics, forget old idempotency keys."""

from tasky.runtime.service import Service
from tasky.store import stats, tasks
from tasky.store.database import Database
from tasky.store.writer import Transaction

PERIOD_S = 3600.0


class Maintenance(Service):
    """Looks once an hour, and once at the start."""

    def __init__(self, database: Database) -> None:
        super().__init__("maintenance")
        self._database = database

    def run_once(self) -> float | None:
        def write(tx: Transaction) -> None:
            stats.fold(tx)
            tasks.forget_keys(tx)

        self._database.write().call(write)
        return PERIOD_S
