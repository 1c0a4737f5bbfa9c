"""Join tokens."""

import hashlib
import re

import pytest

from core.clock import SECOND
from core.errors import InvalidArgument
from core.ids import base36
from identity.root import create_root, root_digest
from identity.tokens import new_token, parse_token, same_token

ROOT = create_root(1_700_000_000 * SECOND)[0]


def test_CA_01_a_token_is_the_roots_digest_and_a_secret() -> None:
    token = new_token(ROOT)
    assert re.fullmatch(r"SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}", token)
    parsed = parse_token(token)
    assert parsed.digest == root_digest(ROOT) == base36(int(hashlib.sha256(ROOT).hexdigest(), 16), 50)
    assert token.endswith(parsed.secret)


def test_CA_01_every_token_has_a_secret_of_its_own() -> None:
    tokens = {new_token(ROOT) for _ in range(100)}
    assert len(tokens) == 100
    assert len({parse_token(token).digest for token in tokens}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SWMTKN-1",
        "SWMTKN-2-" + "a" * 50 + "-" + "b" * 25,
        "SWMTKN-1-" + "a" * 49 + "-" + "b" * 25,
        "SWMTKN-1-" + "a" * 50 + "-" + "b" * 26,
        "SWMTKN-1-" + "A" * 50 + "-" + "b" * 25,
        "SWMTKN-1-" + "a" * 50 + "-" + "b" * 24 + "é",
        "SWMTKN-1-" + "a" * 50 + "-" + "b" * 25 + "\n",
        "x" * 1_000_000,
    ],
)
def test_CA_01_what_is_no_token_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        parse_token(text)
    assert "pyswarm join-token" in refusal.value.message
    assert "bbbb" not in refusal.value.message


def test_a_tokens_secret_is_not_printed() -> None:
    token = parse_token(new_token(ROOT))
    assert token.secret not in repr(token)


def test_tokens_are_the_same_only_if_they_are() -> None:
    token = new_token(ROOT)
    assert same_token(token, token)
    assert not same_token(token, new_token(ROOT))
    assert not same_token("é", token)
