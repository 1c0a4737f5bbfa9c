"""Members of the log whose disk is full, torn or damaged: what they say, and how they come back."""

import re
from pathlib import Path

import pytest

from tests.support.member_process import Process
from tests.support.raft_processes import World, processes
from tests.support.raft_writers import Writers, writing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
FULL = (
    r"cannot write {raft}/\S+: No space left on device\. This manager stops, so that nothing acknowledged is lost; .*"
)
DAMAGED = (
    r"{file}: a record is damaged at byte (\d+)\. This manager does not start with it\. The other managers hold the "
    r"data: on one of them run `pyswarm node demote {node}`, then `pyswarm node promote {node}`, .*"
)


async def a_follower(world: World) -> Process:
    leader = await world.leader()
    return next(member for member in world.members if member is not leader)


async def stopped(world: World, member: Process) -> str:
    """What it says once it has stopped by itself."""

    async def gone() -> bool:
        return not member.running

    await world.until(f"{member.name} stops", gone)
    assert member.exit_code == 1
    return member.last_words


def fill(member: Process) -> Path:
    """Takes all the room of its disk."""
    filler = member.disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 9):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return filler


def latest_file(member: Process) -> Path:
    return max(member.raft.glob("*.wal"))


@pytest.mark.parametrize("leads", [False, True])
async def test_a_member_whose_disk_is_full_stops_with_the_reason_and_comes_back_when_there_is_room(
    tmp_path: Path, leads: bool
) -> None:
    async with processes(tmp_path, disk_size="8m") as world, writing(world) as writers:
        await writers.more(100)
        victim = await world.leader() if leads else await a_follower(world)
        filler = fill(victim)
        said = await stopped(world, victim)
        assert re.fullmatch(FULL.format(raft=victim.raft), said), said
        await writers.more(300)
        victim.start()
        said = await stopped(world, victim)
        assert re.fullmatch(FULL.format(raft=victim.raft), said), said
        filler.unlink()
        victim.start()
        await world.caught_up(victim)


async def tear(world: World, writers: Writers, victim: Process, left: int) -> None:
    """Of the last record only so many bytes, or all but so many, are there when the victim starts again."""
    victim.kill()
    path = latest_file(victim)
    data = path.read_bytes()
    begins = data.rindex(b"\xf7PSJ")
    path.write_bytes(data[: begins + left] if left > 0 else data[:left])
    await writers.more(20)
    victim.start()
    await world.caught_up(victim)
    assert f"path={path} " in re.sub(r"\x1b\[\d*m", "", victim.log.read_text()).partition("a crash tore the end")[2]


async def test_S8_a_torn_last_record_is_cut_away_and_the_member_catches_up(tmp_path: Path) -> None:
    async with processes(tmp_path) as world, writing(world) as writers:
        for left in (1, 20, -1, -9):
            await writers.more(60)
            await tear(world, writers, await a_follower(world), left)


async def test_S8_a_flipped_bit_is_refused_with_file_offset_and_repair_and_the_repair_works(tmp_path: Path) -> None:
    async with processes(tmp_path) as world, writing(world) as writers:
        await writers.more(100)
        victim = await a_follower(world)
        victim.kill()
        path = latest_file(victim)
        whole = path.read_bytes()
        damaged, where = bytearray(whole), len(whole) // 2
        damaged[where] ^= 0x10
        path.write_bytes(damaged)
        for _ in range(2):  # nothing is repaired by itself
            await writers.more(20)
            victim.start()
            said = await stopped(world, victim)
            match = re.fullmatch(DAMAGED.format(file=path, node=victim.node_id), said)
            assert match is not None, said
            assert int(match[1]) == whole.rindex(b"\xf7PSJ", 0, where + 4)
            assert path.read_bytes() == damaged
        await world.rejoin(victim)
        await world.caught_up(victim)
        assert len((await world.status(victim))["members"]) == len(world.members)
