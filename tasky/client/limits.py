"""Puts the limits of `tasky.toml` into effect, for whoever starts an engine."""

import contextlib

from tasky.client.base import Client
from tasky.errors import WorkerUnknown
from tasky.settings import Settings


def apply_limits(client: Client, settings: Settings) -> None:
    """Give workers the limits of the settings; a name that is not loaded here is left out."""
    for name, wanted in settings.workers.by_name.items():
        with contextlib.suppress(WorkerUnknown):
            if wanted.max_running not in (None, client.worker(name).max_running):
                client.change_worker(name, max_running=wanted.max_running)
