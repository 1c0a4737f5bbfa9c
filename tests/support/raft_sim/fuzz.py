"""One seed: a world, its clients, and whatever may go wrong; then all is mended, and everything is checked."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from raft.storage.errors import StorageFailed
from tests.support.linearizability import Operation
from tests.support.raft_sim.clients import KEYS, Clients
from tests.support.raft_sim.faults import disturb, mend
from tests.support.raft_sim.machine import append
from tests.support.raft_sim.simulated import LARGE_BATCH, SMALL_BATCH, simulated
from tests.support.raft_sim.truth import Violation
from tests.support.raft_sim.world import World

LEAST_EVENTS = 2000
ENOUGH_SEEDS = 30
"""So many bring up every kind of fault."""
RULES = ("S1", "S2", "S3", "S4", "S11", "L1", "L2", "L5")
"""The rules of the guard: over many seeds each has to step in."""
_LEAST_FAULTS = 50
_CLIENTS = 6
_SHUTDOWN_SECONDS = 3
_LAST = 0
_LEADER_SECONDS = 30
_CHANGES_SECONDS = 5
_SETTLED_SECONDS = 10


@dataclass
class Run:
    faults: Counter[str]
    rules: Counter[str]
    events: int
    acknowledged: int
    seconds: float
    """Simulated."""


def run_seed(seed: int, folder: Path) -> Run:
    """Raises AssertionError for whatever does not hold."""
    small = seed % 3 == 0
    with simulated(seed, folder, size=3 + 2 * (seed % 2), batch=SMALL_BATCH if small else LARGE_BATCH) as world:
        world.count("small batches" if small else "large batches")
        begun = world.loop.now
        clients = Clients(world, _CLIENTS, large=not small)
        faults = 0
        while faults < _LEAST_FAULTS or world.events < LEAST_EVENTS:
            world.run(world.rng.uniform(0.05, 1))
            disturb(world)
            faults += 1
        mend(world)
        world.run(_SHUTDOWN_SECONDS)  # who was just stopping is started too
        mend(world)
        clients.finish()
        _converge(world, clients)
        world.truth.check_end([member.machine for member in world.members.values()])
        clients.history.check()
        if strange := [reason for reason in world.stopped if not isinstance(reason, StorageFailed)]:
            raise Violation(f"members stopped without need: {strange}")
        for member in world.members.values():
            world.rules.update(member.thread.engine.guard.fired)
        return Run(world.faults, world.rules, world.events, len(world.truth.acked), world.loop.now - begun)


def _converge(world: World, clients: Clients) -> None:
    """Within a bounded time after all is well there is a leader, and all members count and hold a new write."""
    world.run_until(lambda: world.leader() is not None, _LEADER_SECONDS, "a leader is found once all is well")
    world.run_until(lambda: clients.done, _LEADER_SECONDS, "the clients are done")
    world.run(_CHANGES_SECONDS)  # changes of the members that were under way come to their end
    leader = world.leader()
    assert leader is not None, "the leader stays"
    clients.history.operations[0].append(Operation(_LAST, world.loop.now))
    world.loop.spawn(leader.write(b"last", append(0, _LAST)))
    world.run_until(lambda: _settled(world), _SETTLED_SECONDS, "all hold everything")
    for key in range(KEYS):
        for node_id in sorted(leader.node.configuration.voters):
            world.loop.spawn(clients.read(world.members[node_id], key))
    world.run(_CHANGES_SECONDS)


def _settled(world: World) -> bool:
    leader = world.leader()
    if leader is None:
        return False
    configuration = leader.node.configuration
    voters = [world.members[node_id] for node_id in configuration.voters]
    return not configuration.learners and all(member.running and _LAST in member.machine.values for member in voters)
