"""The engine's thread, and the way from it to the loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from core.clock import SECOND
from raft.awake import AwakeClock
from raft.engine.engine import Engine
from raft.engine.events import Output, Quit
from raft.messages import Message

_SLICE = 0.005
"""Seconds of the loop that outputs may take in one go."""
_STEP = SECOND // 2
"""Longer than a heartbeat."""


class Mailbox:
    """Implements raft.engine.events.Outbox: hands on to the loop, messages before outputs, each in order.

    `stuck`, if set, is called in the engine's thread when the loop has taken nothing for `patience` ns of which
    this process ran, and again whenever it has not for as long again. A leader gives out something with each heartbeat.
    """

    stuck: Callable[[], None] | None = None
    patience: int = SECOND

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[tuple[str, Message]] = deque()
        self._outputs: deque[Output] = deque()
        self._scheduled = False
        self._clock = AwakeClock(_STEP)
        self._waits_since = 0
        self._held = False
        self._send: Callable[[str, Message], None] | None = None
        self._take: Callable[[Output], None] | None = None

    def open(self, send: Callable[[str, Message], None], take: Callable[[Output], None]) -> None:
        self._send, self._take = send, take

    def close(self) -> None:
        """What comes later is dropped."""
        self._send = self._take = None

    def hold(self) -> None:
        """Outputs wait from now on, messages do not. On the loop."""
        self._held = True

    def release(self) -> None:
        self._held = False
        self._drain()

    def send(self, messages: list[tuple[str, Message]]) -> None:
        self._messages.extend(messages)
        self._wake()

    def give(self, outputs: list[Output]) -> None:
        self._outputs.extend(outputs)
        self._wake()

    def _wake(self) -> None:
        ran = self._clock.at(int(self._loop.time() * SECOND))
        if not self._scheduled:
            self._scheduled = True
            self._waits_since = ran
            self._loop.call_soon_threadsafe(self._drain)
        elif ran - self._waits_since >= self.patience and self.stuck is not None:
            self._waits_since = ran
            self.stuck()

    def _drain(self) -> None:
        self._scheduled = False  # before the queues are looked at: what comes after wakes us again
        while self._messages and self._send is not None:
            self._send(*self._messages.popleft())
        until = monotonic() + _SLICE
        while self._outputs and self._take is not None and not self._held:
            self._take(self._outputs.popleft())
            if monotonic() > until:
                self._loop.call_soon(self._drain)
                return


class EngineThread:
    """Runs the engine until `stop`, or until something it cannot survive: then `failed` is called on the loop."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, failed: Callable[[Exception], None]) -> None:
        self._engine = engine
        self._loop = loop
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name="raft", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """Also of an engine that never started: then only its files are closed."""
        if self._thread.ident is None:
            self._engine.close()
            return
        self._engine.post(Quit())
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while not self._engine.quit:
                self._engine.step(block=True)
        except Exception as error:
            self._loop.call_soon_threadsafe(self._failed, error)
        finally:
            self._engine.close()
