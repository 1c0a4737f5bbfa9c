"""What may go wrong. Each is one seeded choice."""

from collections.abc import Coroutine
from typing import Any

from core.errors import PyswarmError
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.world import World

KINDS = (
    *("crash", "crash all", "crash in sync", "crash in compaction", "torn", "shutdown"),
    *("disk error", "disk full", "slow disk", "stopped by its disk"),
    *("cut", "cut one way", "cut unnoticed", "isolate", "lost", "doubled", "reordered"),
    *("pause", "busy loop", "clock jump", "add", "remove", "transfer", "key rotation"),
    *("snapshot", "restored", "snapshot repeated", "snapshot cut short"),
    *("read", "read refused", "write refused", "retried in doubt", "repeated after the answer"),
    *("small batches", "large batches"),
)
MOST_MEMBERS = 7
_CHOICES = (
    *("power", "power", "power", "disk", "disk", "link", "isolate", "heal", "heal", "heal"),
    *("pause", "loop", "clock", "network", "network", "member", "member", "lead", "key"),
)


def disturb(world: World) -> None:
    """One fault. Half of the time it is the leader that it hits."""
    rng, leader = world.rng, world.leader()
    member = leader if leader is not None and rng.random() < 0.5 else rng.choice(list(world.members.values()))
    match rng.choice(_CHOICES):
        case "power":
            _disturb_power(world, member)
        case "disk":
            _disturb_disk(world, member)
        case "link":
            _cut(world, member, [rng.choice(list(world.members.values()))], both=rng.random() < 0.5)
        case "isolate":
            _isolate(world, member)
        case "heal":
            world.heal()
        case "pause":
            world.count("pause")
            member.freeze(rng.choice([0.2, 0.8, 3.0]) * rng.uniform(0.5, 1.5))
        case "loop":
            world.loop_lag = rng.choice([0, 0, 0.01, 0.1])
            world.faults["busy loop"] += world.loop_lag > 0
        case "clock":
            world.count("clock jump")
            world.wall += rng.choice([-1, 1]) * rng.choice([1, 3600, 100_000_000])
        case "network":
            world.loss = rng.choice([0, 0, 0.02, 0.2])
            world.doubling = rng.choice([0, 0.1, 0.5])
            world.delay = rng.choice([0.002, 0.02, 0.3])
        case "key" if member.running:
            world.count("key rotation")
            _ask(member, member.node.rotate_key())
        case "member":
            _change_members(world, leader)
        case "lead" if leader is not None:
            world.count("transfer")
            _ask(leader, leader.node.transfer_leadership())


def _disturb_power(world: World, member: Member) -> None:
    match world.rng.choice(["crash", "crash", "stop", "restart", "restart", "restart", "all"]):
        case "crash" if member.running:
            world.count("crash")
            member.crash()
        case "stop" if member.running:
            world.count("shutdown")
            _ask(member, member.stop())
        case "restart":
            restart(world)
        case "all" if world.rng.random() < 0.5:
            world.count("crash all")
            for each in world.members.values():
                each.crash()
            restart(world)


def restart(world: World) -> None:
    for each in world.members.values():
        if not each.running:
            each.start()


def _disturb_disk(world: World, member: Member) -> None:
    rng = world.rng
    world.crash_in_compaction = rng.choice([0, 0, 0.1])
    member.disk.crash_rate = rng.choice([0, 0, 0.01])
    member.disk.error_rate = rng.choice([0, 0, 0.01])
    member.disk.slow_rate = rng.choice([0, 0, 0.02, 0.2])


def _isolate(world: World, member: Member) -> None:
    """With at most one other: from all the rest."""
    world.count("isolate")
    rng = world.rng
    few = rng.sample(list(world.members.values()), k=rng.choice([0, 0, 1]))
    far = [other for other in world.members.values() if other not in few and other is not member]
    for one in {member.id: member, **{near.id: near for near in few}}.values():
        _cut(world, one, far, both=rng.random() < 0.7)


def _cut(world: World, member: Member, others: list[Member], both: bool) -> None:
    """Only some cuts are noticed: a connection may look alive for long."""
    noticed = world.rng.random() < 0.6
    for other in others:
        if other is not member:
            world.count("cut" if both else "cut one way")
            world.faults["cut unnoticed"] += not noticed
            ends = (member.id, other.id) if world.rng.random() < 0.5 else (other.id, member.id)
            world.partition(*ends, both, noticed)


def _change_members(world: World, leader: Member | None) -> None:
    if leader is None:
        return
    peers = sorted(leader.node.configuration.peers)
    if len(peers) > 3 and world.rng.random() < 0.5:
        world.count("remove")
        _ask(leader, leader.node.remove_member(world.rng.choice(peers)))
    elif len(world.members) < MOST_MEMBERS:
        world.count("add")
        member = world.appear(len(world.members) + 1)
        if member.running:
            _ask(leader, leader.node.add_member(member.id, member.addr, member.node.own.incarnation))


def _ask(member: Member, work: Coroutine[Any, Any, None]) -> None:
    """It may be refused, or fail half-way."""

    async def asked() -> None:
        try:
            await work
        except PyswarmError:
            member.world.count("change refused")

    member.spawn(asked())


def mend(world: World) -> None:
    """All is well from now on."""
    world.loss = world.doubling = world.loop_lag = world.crash_in_compaction = 0.0
    world.delay = 0.005
    world.heal()
    for member in world.members.values():
        member.disk.crash_rate = member.disk.error_rate = member.disk.slow_rate = 0.0
        member.frozen_until = 0.0
        if not member.running:
            member.start()
        member.thread.wake()
