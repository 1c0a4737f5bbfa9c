"""The unlock key as people see it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument
from identity.unlock import new_unlock_key, parse_unlock_key, unlock_key_text


@given(st.binary(min_size=32, max_size=32))
def test_CA_08_a_key_is_read_as_it_was_shown(key: bytes) -> None:
    text = unlock_key_text(key)
    assert len(text) == len("SWMKEY-1-") + 43
    assert parse_unlock_key(f" {text}\n") == key


def test_CA_08_swarms_own_keys_are_understood() -> None:
    assert len(parse_unlock_key("SWMKEY-1-LeiulEu4ktwFBVffdMDtx/VyFiZ5zBK8zPOxAJYa8Jg")) == 32


def test_CA_08_every_key_is_another_and_no_key_is_no_text() -> None:
    assert new_unlock_key() != new_unlock_key()
    assert unlock_key_text(b"") == ""


@pytest.mark.parametrize(
    "text",
    ["", "SWMKEY-1-", "SWMKEY-1-abc", f"SWMKEY-2-{43 * 'A'}", f"SWMKEY-1-{43 * '!'}", f"SWMKEY-1-{43 * 'é'}", 43 * "A"],
)
def test_CA_08_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidArgument, match="looks like SWMKEY-1-<43 characters>") as refusal:
        parse_unlock_key(text)
    assert not text or text not in refusal.value.message or text == "SWMKEY-1-"
