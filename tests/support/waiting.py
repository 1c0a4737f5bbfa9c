"""Waiting for what must come true, however slow the machine is."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds. Far above what anything takes: a test that waits so long has found a fault, not a slow machine."""


def wait_for(what: str, condition: Callable[[], T], patience: float = PATIENCE) -> T:
    """The first true value of `condition`. Fails, saying `what` was waited for and the last value, after `patience`."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not after {patience:g} s; last seen: {value!r}")
        time.sleep(0.1)


async def eventually(what: str, condition: Callable[[], T]) -> T:
    """As `wait_for`, while other work of the event loop goes on."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not after {PATIENCE:g} s; last seen: {value!r}")
        await asyncio.sleep(0.02)
    return value
