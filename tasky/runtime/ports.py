"""What the runtime asks of executors. They fit by shape; neither side imports the other."""

from typing import Protocol

from tasky.assignment import Assignment


class Executor(Protocol):
    """One way to run an execution: a thread, a process, a container, an agent."""

    name: str

    def start(self, assignment: Assignment) -> None:
        """Begin at once in a slot that the caller knows to be free; must not block."""

    def abandon(self, execution_id: int) -> None:
        """Give up on code that does not end: kill it, or replace the slot if that is impossible."""

    def stack(self, execution_id: int) -> list[str]:
        """Return the frames of running code, outermost first; empty if there is no look inside."""

    @property
    def abandoned(self) -> int:
        """Executions that were given up and still occupy something."""

    def stop(self) -> None:
        """Take no more work and let idle slots end. Twice is fine."""
