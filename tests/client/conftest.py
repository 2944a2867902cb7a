"""The clients there are, over the same core."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasky.client.base import Client
from tasky.client.http import HttpClient
from tests.webapi.stage import TOKEN, Stage, nothing_left, served


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    assert nothing_left() == []


@pytest.fixture
def stage(tmp_path: Path, _clean: None) -> Iterator[Stage]:
    """A real database and engine, so that both clients show the same facts."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture(params=["local", "rest"])
def client(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Client]:
    if request.param == "local":
        yield stage.client
        return
    with served(stage.client) as server:
        rest = HttpClient(server.address, TOKEN)
        yield rest
        rest.close()
