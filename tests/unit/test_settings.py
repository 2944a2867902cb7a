"""`tasky.toml`: what is taken, and how each wrong thing is named."""

from pathlib import Path

import msgspec
import pytest

from tasky.errors import SettingsInvalid
from tasky.settings import SECTIONS, Settings, WorkerSettings, json_schema, load, parse


def flaws(text: str) -> dict[str, str]:
    with pytest.raises(SettingsInvalid) as caught:
        parse(text)
    return {error.pointer: error.detail for error in caught.value.errors}


def test_an_empty_file_gives_the_defaults() -> None:
    settings = parse("")

    assert settings == Settings()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8888)
    assert settings.files.roots is None


def test_every_setting_is_taken() -> None:
    settings = parse(
        """
        [server]
        host = "::1"
        port = 0
        threads = 2
        [files]
        roots = ["/var/log:ro", "."]
        [workers]
        modules = ["my.py"]
        [workers.Archive]
        max_running = 1
        """
    )

    assert (settings.server.host, settings.server.port, settings.server.threads) == (
        "::1",
        0,
        2,
    )
    assert settings.files.roots == ("/var/log:ro", ".")
    assert settings.workers.modules == ("my.py",)
    assert settings.workers.by_name == {"archive": WorkerSettings(max_running=1)}


def test_every_wrong_field_is_named_at_once_with_its_line() -> None:
    found = flaws('[server]\nport = "x"\nthreads = 0\n\n[files]\nroots = [1]\n')

    assert set(found) == {"/server/port", "/server/threads", "/files/roots"}
    assert found["/server/port"].endswith("(line 2)")
    assert found["/server/threads"].endswith("(line 3)")
    assert found["/files/roots"].endswith("(line 6)")


@pytest.mark.parametrize(
    ("text", "pointer", "near"),
    [
        ("[servr]\nport = 1", "/servr", "server"),
        ("[server]\nprot = 1", "/server/prot", "port"),
        ("[workers]\nmodule = []", "/workers/module", "modules"),
        ("[workers.sleep]\nmax_runing = 1", "/workers/sleep/max_runing", "max_running"),
    ],
)
def test_an_unknown_name_brings_the_closest(text: str, pointer: str, near: str) -> None:
    assert f"Did you mean {near}?" in flaws(text)[pointer]


@pytest.mark.parametrize("text", ["server = 1", "[[server]]\nport = 1", "workers = []"])
def test_a_section_that_is_none_is_refused(text: str) -> None:
    assert flaws(text)


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "tasky.toml"
    file.write_text("[server]\nport = \n")

    with pytest.raises(SettingsInvalid) as caught:
        load(file)

    assert str(file) in str(caught.value)
    assert "line 2" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")

    for path in (tmp_path / "missing.toml", tmp_path, binary):
        with pytest.raises(SettingsInvalid, match=str(path)):
            load(path)


def test_the_schema_knows_every_field_and_no_others() -> None:
    schema = json_schema()

    for name, kind in SECTIONS.items():
        section = schema["properties"][name]
        assert set(section["properties"]) == {field.name for field in msgspec.structs.fields(kind)}
        assert section["additionalProperties"] is False
    assert "modules" in schema["properties"]["workers"]["properties"]
    assert "max_running" in schema["properties"]["workers"]["additionalProperties"]["properties"]
