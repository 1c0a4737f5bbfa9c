"""What is measured of three running members. Each returns plain figures, named with their units."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import grpc
import psutil

from benchmarks.raft_load import Call, Commit, Load, put_request
from benchmarks.raft_machines import FILL, OBJECTS, Machine
from benchmarks.raft_member import Ours
from benchmarks.raft_target import MEMBERS, PATIENCE, Target, wait_for
from benchmarks.report import summary
from raft import Timing

_WARM_UP = 1.0
_ATTEMPT_PAUSE = 0.01
_ATTEMPT_TIMEOUT = 2.0
_AWAY_ENTRIES = 10_000
_BEHIND = 200
"""Entries by which a follower may be late under load and still count as caught up."""
_SNAPSHOT_TIMING = Timing(snapshot_entries=1000, keep_entries=100)

Found = dict[str, float]


async def throughput(target: Target, clients: int, seconds: float) -> Found:
    commits = await Load(target.door(await target.leader()), clients, seconds + _WARM_UP).commits()
    begin = commits[0][0] + _WARM_UP
    counted = [commit for commit in commits if commit[0] >= begin]
    duration = max(answered for _, answered in counted) - begin
    return {"per_s": round(len(counted) / duration, 1)} | _milliseconds(counted)


async def fail_over(target: Target) -> Found:
    """From kill -9 of the leader to the next commit: both others are asked, again and again."""
    leader = await target.leader()
    others = [member for member in MEMBERS if member != leader]
    done = asyncio.Event()
    attempts: set[asyncio.Task[None]] = set()

    async def attempt(put: Call) -> None:
        with suppress(grpc.aio.AioRpcError):
            await put(put_request(0), timeout=_ATTEMPT_TIMEOUT)
            done.set()

    async with AsyncExitStack() as stack:
        puts: list[Call] = []
        for member in others:
            channel = await stack.enter_async_context(target.door(member).channel())
            await channel.channel_ready()
            puts.append(channel.unary_unary(target.door(member).method))
        begin = time.monotonic()
        target.kill(leader)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            while not done.is_set():
                attempts.update(group.create_task(attempt(put)) for put in puts)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_ATTEMPT_PAUSE):
                        await done.wait()
            seconds = time.monotonic() - begin
            for other in attempts:
                other.cancel()
    target.start(leader)
    await target.settle()
    return {"s": round(seconds, 3)}


async def catch_up(target: Target, clients: int = 4, seconds: float = 5.0) -> Found:
    """Commits before a follower was away, and while it catches up on 10,000 entries."""
    leader = await target.leader()
    follower = (leader + 1) % len(MEMBERS)
    before = await Load(target.door(leader), clients, seconds).commits()
    os.kill(target.pid(follower), signal.SIGSTOP)
    try:
        enough = (await target.status(leader))[1] + _AWAY_ENTRIES
        while (await target.status(leader))[1] < enough:
            await Load(target.door(leader), 32, 2.0).commits()
        load = Load(target.door(leader), clients, 2 * seconds)
        await asyncio.sleep(seconds / 2)
    finally:
        os.kill(target.pid(follower), signal.SIGCONT)
    begin = time.monotonic()

    async def caught_up() -> bool:
        with suppress(grpc.aio.AioRpcError):
            behind = (await target.status(leader))[1] - (await target.status(follower))[1]
            return behind < _BEHIND
        return False

    await wait_for(caught_up)
    end = time.monotonic()
    during = [commit for commit in await load.commits() if commit[1] >= begin and commit[0] <= end]
    was, now = _milliseconds(before[len(before) // 4 :]), _milliseconds(during)
    figures = {f"before_{key}": value for key, value in was.items()} | {f"during_{key}": now[key] for key in now}
    return {"caught_up_s": round(end - begin, 2)} | figures | {"p99_growth": round(now["p99_ms"] / was["p99_ms"], 2)}


async def idle(target: Target, seconds: float = 10.0) -> Found:
    """Processor time while nothing is asked, in per cent of one core."""
    await target.settle()
    leader = await target.leader()
    processes = [psutil.Process(target.pid(member)) for member in MEMBERS]
    begin, before = time.monotonic(), [sum(process.cpu_times()[:2]) for process in processes]
    await asyncio.sleep(seconds)
    took = time.monotonic() - begin
    used = [
        round(100 * (sum(process.cpu_times()[:2]) - was) / took, 2)
        for process, was in zip(processes, before, strict=True)
    ]
    return {"leader_percent": used.pop(leader), "follower_percent": max(used)}


async def hold(folder: Path, machine: type[Machine]) -> dict[str, dict[str, float]]:
    """Longest holds of loop and engine thread while a leader under load freezes, encodes and sends 100,000 objects, and
    a new member installs them; and of the same load alone."""
    target = Ours(folder, _SNAPSHOT_TIMING, machine, watched=True)
    found: dict[str, dict[str, float]] = {}
    try:
        target.start(0)
        await target.leader()
        async with target.door(0).channel() as channel:
            put: Call = channel.unary_unary(target.door(0).method)
            await put(FILL, timeout=PATIENCE)
        await _until_snapshot(target)
        await target.holds(0)
        await Load(target.door(0), 1, 1.0).commits()
        found["load_alone"] = await target.holds(0)
        await _until_snapshot(target)
        found["taking"] = await target.holds(0)
        target.start(1)

        async def installed() -> bool:
            with suppress(grpc.aio.AioRpcError):
                return await target.count(1) >= OBJECTS
            return False

        await wait_for(installed)
        found["sending"] = await target.holds(0)
        found["installing"] = await target.holds(1)
    finally:
        target.stop()
    return found


async def _until_snapshot(target: Ours) -> None:
    """Writes until the first member has taken its next one."""
    before = target.snapshot_time(0)
    while target.snapshot_time(0) == before:
        await Load(target.door(0), 1, 1.0).commits()


def _milliseconds(commits: Sequence[Commit]) -> Found:
    took = summary([1000 * (answered - asked) for asked, answered in commits])
    return {"p50_ms": took["median"], "p99_ms": took["p99"]}
