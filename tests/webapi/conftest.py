"""REST over a real core: called as WSGI, and over a socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webapi.stage import Stage, Web, app_of, nothing_left, served
from webapi.server import Server


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    assert nothing_left() == []


@pytest.fixture
def stage(tmp_path: Path, _clean: None) -> Iterator[Stage]:
    """A real database and engine: what REST promises is what the store keeps."""
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def web(stage: Stage) -> Web:
    return Web(app_of(stage.client))


@pytest.fixture
def server(stage: Stage) -> Iterator[Server]:
    with served(stage.client) as server:
        yield server
