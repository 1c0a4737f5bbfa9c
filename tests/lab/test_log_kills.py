"""Processes of the log under kill -9, and on disks that keep only what was synced: nothing acknowledged is lost."""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.support.disks import DEATHS, UNSYNCED, Platter, lose_power
from tests.support.member_process import Process
from tests.support.raft_processes import TIMING, World, processes
from tests.support.raft_writers import Writers, lost, writing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]
KILLS = int(os.environ.get("RAFT_KILLS", "15"))


async def victims(world: World, round_: int, rng: Random) -> list[Process]:
    """Every third time all; else mostly the leader."""
    if round_ % 3 == 0:
        return world.members
    leader = await world.leader()
    followers = [member for member in world.members if member is not leader]
    return [leader if rng.random() < 0.6 else rng.choice(followers)]


async def dead(world: World, victim: Process, where: str) -> None:
    """Waits until it has killed itself."""

    async def gone() -> bool:
        return not victim.running

    await world.until(f"{victim.name} dies {where}", gone)
    assert victim.exit_code == -9


async def dies_in_the_window(world: World, victim: Process, where: str) -> None:
    """The victim kills itself at its next sync or snapshot; the writers bring that about."""
    await world.caught_up(victim)
    with suppress(OSError):  # it may be dead before it has answered
        await victim.ask("die", where=where)
    await dead(world, victim, where)


async def test_RFT_03_no_acknowledged_write_is_lost_however_often_members_are_killed(tmp_path: Path) -> None:
    rng, kinds = Random(1), Counter[str]()
    async with processes(tmp_path) as world, writing(world) as writers:
        for round_ in range(KILLS):
            await writers.more(rng.randint(1, 150))
            killed = await victims(world, round_, rng)
            kinds["all" if len(killed) == 3 else "one"] += 1
            if round_ % 4 == 0:
                where = DEATHS[round_ // 4 % 3]
                kinds[where] += 1
                await dies_in_the_window(world, rng.choice(killed), where)
            for member in killed:
                member.kill()
            if len(killed) == 1:
                await writers.more(10)
            for member in killed:
                member.start()
        print(f"\n{KILLS} rounds of kill -9: {dict(kinds)}")


async def test_S8_no_acknowledged_write_rests_on_what_was_not_synced(tmp_path: Path) -> None:
    """Half of the deaths are a process's alone: what it wrote is there when it starts again, but may still be lost.
    Now and then one dies on purpose between a write and its sync."""
    rng, losses, gone = Random(2), 0, 0
    async with processes(tmp_path, platters=True) as world, writing(world) as writers:
        for round_ in range(KILLS):
            await writers.more(rng.randint(1, 150))
            killed = await victims(world, round_, rng)
            cut = rng.choice(killed) if round_ % 4 == 1 else None
            if cut is not None:
                await dies_in_the_window(world, cut, UNSYNCED)
            for member in killed:
                member.kill()
            for member in killed:
                if member is cut or rng.random() < 0.5:
                    gone += lose_power(member.disk, member.platter, None if member is cut else rng)
                    losses += 1
                member.start()
        print(f"\n{KILLS} rounds: {losses} losses of power took {gone} bytes that were written but not synced")
    assert gone > 0


@pytest.mark.parametrize("where", DEATHS)
async def test_S9_a_member_that_dies_while_it_takes_a_whole_snapshot_gets_it_again(tmp_path: Path, where: str) -> None:
    async with processes(tmp_path, platters=True) as world, writing(world) as writers:
        await writers.more(50)
        leader = await world.leader()
        victim = next(member for member in world.members if member is not leader)
        victim.kill()
        await writers.more(TIMING.snapshot_entries + TIMING.keep_entries + 400)
        victim.start(dies=where)
        await dead(world, victim, where)
        lose_power(victim.disk, victim.platter)
        victim.start()
        await world.caught_up(victim)


def test_the_disk_that_forgets_keeps_what_was_synced_and_only_that(tmp_path: Path) -> None:
    folder, record = tmp_path / "disk", tmp_path / "platter"
    folder.mkdir()
    platter = Platter(record)

    def sync(path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        platter.sync(descriptor)
        os.close(descriptor)

    for name in ("grown", "renamed", "never named"):
        (folder / name).write_bytes(b"synced")
        sync(folder / name)
        if name == "renamed":
            sync(folder)
    (folder / "never synced").touch()
    with (folder / "grown").open("ab") as file:
        file.write(b" and more")
    os.replace(folder / "renamed", folder / "to another name")
    platter.close()
    assert lose_power(folder, record) == len(b" and more")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"grown": b"synced", "renamed": b"synced"}


async def test_the_disk_that_forgets_finds_out_a_log_that_does_not_sync(tmp_path: Path) -> None:
    async with processes(tmp_path, replace(TIMING, snapshot_entries=100_000), platters=True) as world:
        writers = Writers(world)
        writers.start()
        await writers.more(50)
        for member in world.members:
            await member.ask("stop_syncing")
        await writers.more(200)
        await writers.stop()
        for member in world.members:
            member.kill()
            lose_power(member.disk, member.platter)
            member.start()
        assert lost(writers.acknowledged, await world.log_of(await world.leader())) >= 150
