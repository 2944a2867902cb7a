"""Documents that can go stale are generated or run."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate
from docs.session import BLOCK, PAGES, ROOT, Session, commands, shape
from tasky.states import DIAGRAM

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


TRIES = 3
"""A session is a race between real programs (a pause while a file is copied); it may be lost."""


@pytest.mark.parametrize("page", PAGES)
def test_the_sessions_of_a_page_print_what_it_says(page: str) -> None:
    typed = [
        pair
        for block in BLOCK.findall((ROOT / page).read_text("utf-8"))
        for pair in commands(block)
    ]
    said = [(command, shape(printed)) for command, printed in typed]
    for _ in range(TRIES):
        with contextlib.closing(Session()) as session:
            printed = [(command, shape(session.run(command))) for command, _ in typed]
        if printed == said:
            break
    assert printed == said


@pytest.mark.parametrize("name", sorted(generate.pages()))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (generate.REFERENCE / name).read_text("utf-8")
    assert written == generate.pages()[name], "run `make docs`"


def test_the_readme_shows_the_state_machine_as_it_is() -> None:
    assert DIAGRAM in (ROOT / "README.md").read_text("utf-8")


def test_the_python_example_of_the_readme_runs(tmp_path: Path) -> None:
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    run = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.stdout.splitlines()[0] == "succeeded Ada was greeted 3 times", run.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target
