"""Tasky: whatever is done on a server by hand becomes a task that is watched and never lost.

The public names are loaded when they are first used, so that `import tasky` costs next to nothing.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tasky._version import __version__

if TYPE_CHECKING:
    from tasky.cancel import Cancelled
    from tasky.client import connect
    from tasky.client.session import TaskHandle, Tasky
    from tasky.errors import TaskyError
    from tasky.model import Task
    from tasky.schema import Param
    from tasky.states import State
    from tasky.worker import Context, WorkerBase, worker

_HOMES = {
    "Cancelled": "tasky.cancel",
    "Context": "tasky.worker",
    "Param": "tasky.schema",
    "State": "tasky.states",
    "Task": "tasky.model",
    "TaskHandle": "tasky.client.session",
    "Tasky": "tasky.client.session",
    "TaskyError": "tasky.errors",
    "WorkerBase": "tasky.worker",
    "connect": "tasky.client",
    "worker": "tasky.worker",
}

__all__ = [
    "Cancelled",
    "Context",
    "Param",
    "State",
    "Task",
    "TaskHandle",
    "Tasky",
    "TaskyError",
    "WorkerBase",
    "__version__",
    "connect",
    "worker",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tasky' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Keeps `tasky.worker` the decorator: importing the module would bind its name anew."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "worker" and isinstance(value, ModuleType):
            value = value.worker
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
