"""The watchdog between the engine's thread and the loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from core.clock import MILLISECOND
from raft.thread import Mailbox
from tests.support.waiting import PATIENCE


class BlockedLoop:
    """Takes nothing until it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waiting: list[Callable[[], Any]] = []

    def time(self) -> float:
        return self.now

    def call_soon_threadsafe(self, callback: Callable[[], Any]) -> None:
        self.waiting.append(callback)

    def turn(self) -> None:
        while self.waiting:
            self.waiting.pop()()


def made() -> tuple[BlockedLoop, Mailbox, list[float]]:
    loop = BlockedLoop()
    mailbox = Mailbox(loop)  # type: ignore[arg-type]
    noticed: list[float] = []
    mailbox.patience = 1500 * MILLISECOND
    mailbox.stuck = lambda: noticed.append(loop.now)
    mailbox.open(lambda receiver, message: None, lambda output: None)
    return loop, mailbox, noticed


def give(loop: BlockedLoop, mailbox: Mailbox, heartbeats: int) -> None:
    for _ in range(heartbeats):
        loop.now += 0.25
        mailbox.give([])


def test_a_loop_that_takes_nothing_for_long_is_noticed_while_it_lasts() -> None:
    loop, mailbox, noticed = made()
    give(loop, mailbox, 15)
    assert noticed == [101.75, 103.25]
    loop.turn()
    give(loop, mailbox, 6)
    assert len(noticed) == 2


def test_a_loop_that_is_slow_only_is_not() -> None:
    loop, mailbox, noticed = made()
    for _ in range(10):
        give(loop, mailbox, 5)
        loop.turn()
    assert noticed == []


def test_a_process_that_did_not_run_did_not_wait() -> None:
    loop, mailbox, noticed = made()
    give(loop, mailbox, 1)
    loop.now += 60
    give(loop, mailbox, 1)
    assert noticed == []


async def test_a_loop_that_is_really_blocked_is_noticed_by_another_thread() -> None:
    loop = asyncio.get_running_loop()
    noticed, pause = asyncio.Event(), threading.Event()
    mailbox = Mailbox(loop)
    mailbox.patience = 50 * MILLISECOND

    def stuck() -> None:
        loop.call_soon_threadsafe(noticed.set)

    def engine() -> None:
        for _ in range(20):
            mailbox.give([])
            pause.wait(0.01)

    mailbox.stuck = stuck
    thread = threading.Thread(target=engine)
    thread.start()
    thread.join()  # the loop stands still meanwhile
    async with asyncio.timeout(PATIENCE):
        await noticed.wait()
