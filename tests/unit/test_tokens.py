"""Tokens are long, random, and carry a checksum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasky.tokens import ALPHABET, new_token, well_formed


def test_a_new_token_is_well_formed_and_new() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(well_formed(token) and len(token) == 42 for token in tokens)


@given(st.integers(4, 41), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(place: int, character: str) -> None:
    token = new_token()
    changed = token[:place] + character + token[place + 1 :]
    assert well_formed(changed) == (changed == token)


@pytest.mark.parametrize(
    "text", ["", "tsk_", "null", "Bearer ", "tsk_" + "é" * 38, "tsk_" + "a" * 38]
)
def test_other_text_is_no_token(text: str) -> None:
    assert not well_formed(text)
