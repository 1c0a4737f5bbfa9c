"""asyncio on simulated time: one seeded source of chance, one order of everything, and no waiting."""

import asyncio
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from random import Random
from typing import Any

THREAD_SECONDS = 0.3
"""A worker thread takes up to so long."""


class SimulatedLoop(asyncio.AbstractEventLoop):
    """As much of a loop as the product uses. What a callback or a check raises ends `run`."""

    def __init__(self, rng: Random) -> None:
        self.now = 1000.0
        self.turns = 0
        """How many callbacks have run: the events of a simulation."""
        self._rng = rng
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.Handle]] = []
        self._order = itertools.count()
        self._failure: BaseException | None = None

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._ready or (self._timers and self._timers[0][0] <= end):
            self._run_ready()
            if self._timers and self._timers[0][0] <= end:
                when, _, handle = heapq.heappop(self._timers)
                self.now = max(self.now, when)
                self._ready.append(handle)
        self.now = end

    @contextmanager
    def running(self) -> Iterator[None]:
        """While it lasts this is the thread's running loop, also between calls of `run`."""
        events._set_running_loop(self)
        try:
            yield
        finally:
            events._set_running_loop(None)

    def _run_ready(self) -> None:
        while self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                self.turns += 1
                handle._run()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure

    def fail(self, error: BaseException) -> None:
        """Something that must hold does not: whoever called, `run` ends with it."""
        self._failure = self._failure or error

    # -- what asyncio asks of a loop

    def time(self) -> float:
        return self.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> "asyncio.Task[Any]":
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """From outside of `run` too. What it raises ends the simulation."""
        task = self.create_task(work)
        task.add_done_callback(self._look_at)
        return task

    def _look_at(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """A worker thread that is done after a while; if its process dies meanwhile it does nothing."""
        future = self.create_future()

        def work() -> None:
            if not future.done():
                try:
                    future.set_result(func(*args))
                except Exception as error:
                    future.set_exception(error)

        self.call_later(self._rng.uniform(0, THREAD_SECONDS), work)
        return future

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is skipped when its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.fail(context.get("exception") or AssertionError(context["message"]))
