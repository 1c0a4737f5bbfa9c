import asyncio
import json

import pytest

from pyswarm.engineapi.answer import answer, answer_list


@pytest.mark.parametrize("length", [0, 1, 100, 250])
async def test_a_list_is_answered_whole(length):
    response = await answer_list(range(length), lambda number: {"N": number})
    assert json.loads(response.body) == [{"N": number} for number in range(length)]
    assert response.headers["Content-Type"] == "application/json"


async def test_a_long_list_lets_others_have_their_turn():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await answer_list(range(5000), lambda number: number)
    counting.cancel()
    assert turns >= 40


def test_text_is_answered_as_it_is():
    assert answer({"message": "\u00e9\n"}).body == '{"message":"é\\n"}'.encode()


def test_half_a_character_is_no_crash():
    assert answer({"message": "invalid \ud800"}).body == b'{"message":"invalid ?"}'
