"""A crowd of sessions is woken a few at a time."""

import asyncio

from manager.dispatcher.turnstile import WIDTH, Turnstile


async def test_a_single_one_is_woken_in_the_next_turn() -> None:
    turnstile, sleeper = Turnstile(), asyncio.Event()
    turnstile.wake(sleeper)
    assert not sleeper.is_set()
    await asyncio.sleep(0)
    assert sleeper.is_set()


async def test_a_crowd_is_woken_in_order_and_a_few_at_a_time() -> None:
    turnstile, sleepers = Turnstile(), [asyncio.Event() for _ in range(2 * WIDTH + 1)]
    for sleeper in sleepers:
        turnstile.wake(sleeper)
    for woken in (WIDTH, 2 * WIDTH, 2 * WIDTH + 1):
        await sleepers[woken - 1].wait()
        assert [sleeper.is_set() for sleeper in sleepers] == [True] * woken + [False] * (len(sleepers) - woken)


async def test_who_asks_twice_before_its_turn_is_woken_once() -> None:
    turnstile, sleeper = Turnstile(), asyncio.Event()
    turnstile.wake(sleeper)
    turnstile.wake(sleeper)
    await asyncio.sleep(0)
    sleeper.clear()
    await asyncio.sleep(0)
    assert not sleeper.is_set()
    turnstile.wake(sleeper)
    await asyncio.sleep(0)
    assert sleeper.is_set()
