"""The public names fit on one screen, are there, and say what they are."""

import inspect

import pytest

import tasky

NAMES = [name for name in tasky.__all__ if not name.startswith("__")]


def test_the_public_api_is_about_a_dozen_names() -> None:
    assert len(NAMES) <= 13


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(tasky, name)
    assert (inspect.getdoc(value) or "").strip()


@pytest.mark.parametrize("kind", ["Tasky", "TaskHandle", "Context", "WorkerBase"])
def test_every_public_method_is_documented(kind: str) -> None:
    for name, member in vars(getattr(tasky, kind)).items():
        if not name.startswith("_") and (callable(member) or isinstance(member, property)):
            assert inspect.getdoc(member), f"{kind}.{name}"


def test_the_decorator_is_not_hidden_by_the_module_of_its_name() -> None:
    import tasky.core

    assert tasky.core
    assert callable(tasky.worker)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tasky.nothing
