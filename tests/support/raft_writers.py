"""Writers and a reader that remember what was acknowledged, and what must hold of every log they wrote to."""

import asyncio
import itertools
import re
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from tests.support.member_process import Line, Process, Refused
from tests.support.raft_member import unpacked
from tests.support.raft_processes import World

WRITERS = 8
_RETRY = 0.02
_ANSWER = 8.0
"""Seconds that an answer is waited for: longer than a member lets anybody wait, unless it is frozen."""
_MAX_SIZE = 1000

WORDS = {
    "NotLeader": r"this manager is not the leader; ask 10\.213\.\d+\.\d+:2377|the cluster has no leader",
    "Unavailable": r"the leader, 10\.213\.\d+\.\d+:2377, does not answer; try again in a moment",
    "NoQuorum": r"the cluster has lost its quorum: \d of 3 managers can be reached and 2 are needed; .*",
    "StorageFailed": r"cannot write \S+: .*\. This manager stops, so that nothing acknowledged is lost; make room .*",
    "UnknownOutcome": r".*may (still be|have been) made.*",
}
"""What each refusal says."""


class Writers:
    """Each writes 1, 2, 3, ... one after the other, again with the same request id until it is acknowledged."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self.acknowledged = [0] * WRITERS
        """The latest number of each: all before it are acknowledged too."""
        self.reads = 0
        self.refusals: Counter[str] = Counter()
        self.strange: set[str] = set()
        """Refusals that do not say what they must."""
        self._world = world
        self._rng = Random(seed)
        self._tasks: list[asyncio.Task[None]] = []
        self._favourite: Process = world.members[0]

    @property
    def total(self) -> int:
        return sum(self.acknowledged)

    async def more(self, count: int) -> None:
        """Returns once so many more are acknowledged."""
        goal = self.total + count

        async def enough() -> bool:
            self._raise()
            return self.total >= goal

        await self._world.until(f"{count} more writes", enough)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._write(writer)) for writer in range(WRITERS)]
        self._tasks.append(asyncio.create_task(self._read()))

    async def stop(self) -> None:
        self._raise()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _raise(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def _write(self, writer: int) -> None:
        lines: dict[Process, Line] = {}
        for number in itertools.count(1):
            size = self._rng.randint(8, _MAX_SIZE)
            while self.acknowledged[writer] < number:
                member = self._favourite
                line = lines.setdefault(member, member.line())
                try:
                    async with asyncio.timeout(_ANSWER):
                        await line.ask("write", writer=writer, number=number, size=size)
                    self.acknowledged[writer] = number
                except (Refused, OSError) as failure:
                    self._note(failure)
                    if member is self._favourite:
                        self._favourite = self._rng.choice(self._world.members)
                    await asyncio.sleep(_RETRY)

    async def _read(self) -> None:
        """What any member answers to a read includes all that was acknowledged before it began."""
        while True:
            before = list(self.acknowledged)
            try:
                async with asyncio.timeout(_ANSWER):
                    latest = (await self._rng.choice(self._world.members).ask("read"))["latest"]
            except (Refused, OSError) as failure:
                self._note(failure)
            else:
                self.reads += 1
                check_read(before, latest)
            await asyncio.sleep(_RETRY)

    def _note(self, failure: Refused | OSError) -> None:
        if isinstance(failure, Refused):
            self.refusals[failure.kind] += 1
            if not understandable(failure):
                self.strange.add(str(failure))
        else:
            self.refusals["no answer" if isinstance(failure, TimeoutError) else "connection lost"] += 1


def understandable(refusal: Refused) -> bool:
    return re.fullmatch(WORDS.get(refusal.kind, ""), refusal.message) is not None


def check_read(acknowledged: list[int], latest: dict[str, int]) -> None:
    for writer, number in enumerate(acknowledged):
        assert latest.get(str(writer), 0) >= number, f"a read misses write {number} of writer {writer}: {latest}"


def lost(acknowledged: list[int], log: "array[int]") -> int:
    """How many acknowledged writes are not in `log`."""
    there = set(map(unpacked, log))
    return sum(
        (writer, number) not in there for writer, last in enumerate(acknowledged) for number in range(1, last + 1)
    )


async def agreed_log(world: World) -> "array[int]":
    """What all members have applied, once they have all applied the same."""

    async def agreed() -> "list[array[int]]":
        try:
            logs = [await world.log_of(member) for member in world.members]
        except OSError:  # one is still starting
            return []
        return logs if all(log == logs[0] for log in logs) else []

    return (await world.until("all members agree", agreed))[0]


async def check(world: World, writers: Writers) -> None:
    """All members agree; every acknowledged write is there, each once and in its writer's order."""
    log = await agreed_log(world)
    assert lost(writers.acknowledged, log) == 0
    for writer, acknowledged in enumerate(writers.acknowledged):
        numbers = [number for by, number in map(unpacked, log) if by == writer]
        # One more may have been on its way when the writer was told to stop.
        assert numbers == list(range(1, len(numbers) + 1)), f"writer {writer}: written twice or out of order"
        assert len(numbers) <= acknowledged + 1
    assert not writers.strange, writers.strange


@asynccontextmanager
async def writing(world: World, seed: int = 0) -> AsyncIterator[Writers]:
    """Eight writers and a reader that go on meanwhile; then everything is read back and checked."""
    writers = Writers(world, seed)
    writers.start()
    try:
        yield writers
        await writers.more(20)
    finally:
        await writers.stop()
    await check(world, writers)
    print(f"{writers.total} writes acknowledged, 0 lost, {writers.reads} reads, refusals {dict(writers.refusals)}")
