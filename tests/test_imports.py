"""The layers, proven twice: from the sources, and in a clean interpreter."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_import_contract_is_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import tasky", {"msgspec", "click", "sqlite3", "bottle", "textual"}),
        ("import tasky.client.http", {"sqlite3", "sqlite_utils", "bottle", "textual", "psutil"}),
        ("from tasky import worker, Context, Param", {"sqlite3", "bottle", "textual", "psutil"}),
        ("import tasky.core", {"sqlite_utils", "bottle", "waitress", "textual", "click"}),
    ],
)
def test_an_import_loads_only_what_it_needs(statement: str, heavy: set[str]) -> None:
    script = f"{statement}; import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert not loaded & heavy
