"""Clients that write and read at once, ask again with the same request id when in doubt, and note what came of it."""

import asyncio
import itertools
import math
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, TypeVar

from core.errors import NotLeader, PyswarmError, UnknownOutcome
from tests.support.linearizability import Operation, is_linearizable
from tests.support.raft_sim.machine import append
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.truth import Violation
from tests.support.raft_sim.world import World

KEYS = 6
_ATTEMPTS = 6
_LARGE = 5000
Action = int | tuple[int, ...]
"""The value appended, or the list that was read."""
Answer = TypeVar("Answer")


class History:
    def __init__(self) -> None:
        self.operations: defaultdict[int, list[Operation[Action]]] = defaultdict(list)
        """Of each key. Lists of different keys have nothing to do with each other, so each is checked alone."""

    def check(self) -> None:
        for key, operations in self.operations.items():
            if not lists_are_linearizable(operations):
                raise Violation(f"the history of key {key} is not linearizable: {operations}")


def lists_are_linearizable(operations: list[Operation[Action]]) -> bool:
    """Lists only grow, so each state is a beginning of the longest that was read, or goes on from it. Whoever wrote
    what nobody ever read, and had no answer, may as well not have written. Both only shorten the search.
    """
    longest = max(
        (operation.action for operation in operations if isinstance(operation.action, tuple)), key=len, default=()
    )

    def step(state: tuple[int, ...], action: Action) -> tuple[int, ...] | None:
        if isinstance(action, tuple):
            return state if action == state else None
        if len(state) < len(longest) and longest[len(state)] != action:
            return None
        return (*state, action)

    known = [each for each in operations if each.returned < math.inf or each.action in longest]
    return is_linearizable(known, (), step)


class Clients:
    def __init__(self, world: World, count: int, large: bool) -> None:
        self.history = History()
        self._world = world
        self._large = large
        self._values = itertools.count(1)
        self._over = False
        self._running = [world.loop.spawn(self._run()) for _ in range(count)]

    @property
    def done(self) -> bool:
        return all(task.done() for task in self._running)

    def finish(self) -> None:
        """Each ends after what it is doing."""
        self._over = True

    async def _run(self) -> None:
        rng = self._world.rng
        while not self._over:
            await asyncio.sleep(rng.expovariate(4))
            key = rng.randrange(KEYS)
            if rng.random() < 0.4:
                await self.read(rng.choice(list(self._world.members.values())), key)
            else:
                await self._write(key)

    async def read(self, member: Member, key: int) -> None:
        called = self._world.loop.now
        try:
            values = await self._patiently(member, member.read(key))
        except (PyswarmError, TimeoutError):
            self._world.count("read refused")
            return
        self._world.count("read")
        self.history.operations[key].append(Operation(values, called, self._world.loop.now))

    async def _write(self, key: int) -> None:
        world, rng = self._world, self._world.rng
        request_id, value = world.request_id(), next(self._values)
        command = append(key, value, _LARGE if self._large and rng.random() < 0.3 else 0)
        operation: Operation[Action] = Operation(value, world.loop.now)
        self.history.operations[key].append(operation)
        doubtful = False
        member = world.leader() or self._anybody()
        for attempt in range(_ATTEMPTS):
            world.faults["retried in doubt"] += doubtful
            try:
                await self._patiently(member, member.write(request_id, command))
            except (UnknownOutcome, TimeoutError):
                doubtful = True
                member = self._anybody()
            except NotLeader as error:
                member = world.members.get(error.leader.partition(":")[0]) or self._anybody()
            except PyswarmError:
                member = self._anybody()
            else:
                operation.returned = world.loop.now
                if rng.random() < 0.1:
                    await self._once_more(member, request_id, command)
                return
            await asyncio.sleep(rng.uniform(0, 0.2 * 2**attempt))
        if not doubtful:
            world.count("write refused")
            world.truth.refused.add(request_id)

    async def _once_more(self, member: Member, request_id: bytes, command: bytes) -> None:
        """Though it was told that it is done: the answer has to be the same."""
        self._world.count("repeated after the answer")
        try:
            await self._patiently(member, member.write(request_id, command))
        except (PyswarmError, TimeoutError):
            return

    async def _patiently(self, member: Member, call: Coroutine[Any, Any, Answer]) -> Answer:
        """The call goes on when its caller has given up, as on a network."""
        self._world.events += 1
        task = self._world.loop.create_task(call)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        async with asyncio.timeout(self._world.rng.choice([1.0, 4.0, 8.0])):
            return await asyncio.shield(task)

    def _anybody(self) -> Member:
        return self._world.rng.choice(list(self._world.members.values()))
