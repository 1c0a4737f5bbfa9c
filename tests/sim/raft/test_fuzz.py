"""Seeded chaos. `RAFT_SEEDS=17,18` or `RAFT_SEEDS=0-299` picks the seeds; each failure names its own."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from raft.engine import events as ev
from raft.membership import Change
from tests.support.raft_world import World, patch_engine

DEFAULT_SEEDS = "0-11"
TOTALS: Counter[str] = Counter()
RULES: Counter[str] = Counter()


def seeds() -> list[int]:
    found: list[int] = []
    for part in os.environ.get("RAFT_SEEDS", DEFAULT_SEEDS).split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@contextmanager
def world(seed: int, folder: Path, size: int) -> Iterator[World]:
    now = [lambda: 1000.0]
    restore = patch_engine(lambda: now[0](), Random(seed))
    try:
        made = World.__new__(World)
        now[0] = lambda: getattr(made, "now", 1000.0)
        made.__init__(seed, folder, size)  # type: ignore[misc]
        yield made
    finally:
        restore()


def disturb(world: World) -> None:
    rng = world.rng
    member = rng.choice(list(world.members.values()))
    match rng.choice(["crash", "crash all", "restart", "cut", "cut one way", "heal", "pause", "network", "member", "lead"]):
        case "crash":
            member.crash()
        case "crash all" if rng.random() < 0.3:
            world.faults["crash all"] += 1
            for each in world.members.values():
                each.crash()
            for each in world.members.values():
                each.start()
        case "restart":
            for each in world.members.values():
                if each.engine is None:
                    each.start()
        case "cut" | "cut one way" as how:
            other = rng.choice(list(world.members.values()))
            if other is not member:
                world.faults[how] += 1
                world.partition(member.id, other.id, both=how == "cut")
        case "heal":
            world.heal()
        case "pause":
            world.faults["pause"] += 1
            length = rng.uniform(0.1, 3)
            member.paused_until = world.now + length
            world.later(length + 0.0001, member.run)
        case "network":
            world.loss = rng.choice([0, 0, 0.02, 0.2])
            world.doubling = rng.choice([0, 0.1])
            world.delay = rng.choice([0.002, 0.02, 0.3])
            world.crash_in_sync = rng.choice([0, 0, 0.002])
        case "member":
            change_members(world)
        case "lead":
            leader = world.leader()
            if leader is not None:
                world.faults["transfer"] += 1
                leader.post(ev.HandOver())


def change_members(world: World) -> None:
    leader = world.leader()
    if leader is None:
        return
    others = [peer for peer in leader.configuration.peers.values() if peer.node_id != leader.id]
    if len(others) > 2 and world.rng.random() < 0.5:
        gone = world.rng.choice(others)
        world.faults["remove"] += 1
        leader.post(ev.ProposeChange(world.request_id(), Change(gone, remove=True)))
    elif len(world.members) < 7:
        world.faults["add"] += 1
        begin_join(world)


def begin_join(world: World) -> None:
    """As World.join, without waiting for it: it may fail half-way."""
    from tests.support.raft_world import Member

    member = Member(world, len(world.members) + 1, first=False)
    for other in world.members.values():
        member.post(ev.Connected(other.id))
        other.post(ev.Connected(member.id))
    world.members[member.id] = member
    world._joined(member)


def load(world: World) -> None:
    for member in list(world.members.values()):
        if member.status.is_leader and member.applier.index >= member.status.ready_at and member.engine is not None:
            for _ in range(world.rng.randrange(4)):
                world.propose(member, world.rng.choice([20, 20, 5000]))
            if member.engine is not None and world.now >= member.paused_until and world.rng.random() < 0.3:
                world.read(member)


@pytest.mark.parametrize("seed", seeds())
def test_nothing_acknowledged_is_lost_whatever_happens(seed: int, tmp_path: Path) -> None:
    print(f"seed {seed}")
    with world(seed, tmp_path, 3 + 2 * (seed % 2)) as made:
        for _ in range(250):
            load(made)
            made.run(made.rng.uniform(0.01, 0.15))
            if made.rng.random() < 0.15:
                disturb(made)
        made.loss = made.doubling = made.crash_in_sync = 0.0
        made.delay = 0.005
        made.heal()
        for member in made.members.values():
            member.paused_until = 0.0
            if member.engine is None:
                member.start()
            else:
                member.run()
        made.run_until(lambda: made.leader() is not None, 30, "a leader is found once all is well")
        leader = made.leader()
        assert leader is not None
        last = made.propose(leader)
        here = [member for member in made.members.values() if member.id in leader.configuration.voters]
        made.run_until(
            lambda: all(last in member.notebook.commands for member in here), 30, "all members hold everything"
        )
        made.check_logs()
        for member in made.members.values():
            assert member.engine is not None
            made.rules.update(member.engine.guard.fired)
        TOTALS.update(made.faults)
        RULES.update(made.rules)
        print(f"acknowledged {len(made.acked)}, {dict(made.faults)}, rules {dict(made.rules)}")
