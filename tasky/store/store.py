"""Everything a core needs of one database, in one value."""

from pathlib import Path

from tasky.clock import Clock, SystemClock
from tasky.store.database import Database
from tasky.store.events import Events
from tasky.store.executions import Executions
from tasky.store.lists import TaskList
from tasky.store.logs import Logs
from tasky.store.queries import Queries
from tasky.store.results import Results
from tasky.store.stats import Statistics
from tasky.store.tasks import Tasks
from tasky.store.workers import Workers


class Store:
    """An open database and the readers of its nouns; writes go through `database.write()`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.events = Events(database)
        self.executions = Executions(database)
        self.lists = TaskList(database, Queries("tasks").select_task)
        self.logs = Logs(database)
        self.results = Results(database)
        self.statistics = Statistics(database)
        self.tasks = Tasks(database)
        self.workers = Workers(database)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        clock: Clock | None = None,
        writable: bool = True,
        check: bool = False,
    ) -> "Store":
        """Open `path`; see `Database` for what it raises."""
        return cls(Database(path, clock=clock or SystemClock(), writable=writable, check=check))

    def close(self) -> None:
        """Close the database. Twice is fine."""
        self.database.close()
