"""The data key: replaced while the member runs, locked from outside, and never lost on the way."""

import shutil
from pathlib import Path

import pytest

from core.errors import InvalidArgument
from core.ids import new_id
from raft import Timing
from raft.engine import events as ev
from raft.storage import state as storage
from raft.storage.errors import DamagedState, Locked
from raft.storage.frame import read_frames
from raft.storage.header import read_header
from raft.storage.keys import create_keys, load_keys
from raft.storage.snapshot import SnapshotWriter
from tests.support.disks import Platter, lose_power
from tests.support.file_operations import Died, counted
from tests.support.lone_engine import LoneEngine, load
from tests.support.managers import cluster
from tests.unit.raft.test_cluster import SMALL, everywhere, written

CLUSTER, NODE = new_id(), new_id()
KEY, OTHER = bytes(range(32)), bytes(32)
TIMING = Timing(snapshot_entries=1000, keep_entries=4)


def sealing_keys(folder: Path) -> set[bytes]:
    """Of every file but the key file."""
    files = [*folder.glob("*.wal"), *folder.glob("snapshot*")]
    return {read_header(path, next(read_frames(path.read_bytes()))[1]).key_id for path in files}


def held_keys(folder: Path, unlock_key: bytes = b"") -> int:
    return len(load_keys(folder, unlock_key)._keys)


def begun(folder: Path, unlock_key: bytes = b"") -> LoneEngine:
    storage.create(folder, CLUSTER, NODE, "10.0.0.1:2377", unlock_key=unlock_key).journal.close()
    return LoneEngine(load(folder, CLUSTER, NODE, unlock_key), TIMING)


def commands(folder: Path, unlock_key: bytes = b"") -> list[bytes]:
    """What a member that starts on the folder knows."""
    member = LoneEngine(load(folder, CLUSTER, NODE, unlock_key), TIMING)
    member.close()
    return [command.rstrip(b".") for command in member.notebook.commands]


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(1, count + 1)]


def test_RFT_08_rotating_the_data_key_forces_a_snapshot_and_leaves_nothing_under_the_old_one(tmp_path: Path) -> None:
    member = begun(tmp_path)
    member.write(10)
    before = sealing_keys(tmp_path)
    member.rotate()
    assert member.snapshots == 1
    assert sealing_keys(tmp_path) == {member.state.keys.current.id}
    assert before.isdisjoint(sealing_keys(tmp_path))
    assert held_keys(tmp_path) == 1
    member.write(5)
    member.close()
    assert commands(tmp_path) == numbers(15)


def test_RFT_08_an_idle_member_rotates_again_and_again(tmp_path: Path) -> None:
    member = begun(tmp_path)
    seen = sealing_keys(tmp_path)
    for count in range(1, 4):
        member.rotate()
        assert sealing_keys(tmp_path) == {member.state.keys.current.id}
        assert member.state.keys.current.id not in seen
        seen |= sealing_keys(tmp_path)
        assert member.snapshots == count
    member.close()
    assert commands(tmp_path) == []


def test_RFT_08_a_member_that_holds_nothing_yet_rotates(tmp_path: Path) -> None:
    state = storage.create(tmp_path, CLUSTER, NODE, None)
    state.keys.rotate()
    state.retire_keys()
    state.journal.close()
    assert held_keys(tmp_path) == 1
    assert storage.load(tmp_path, CLUSTER, NODE).journal.entries[-1].idx == 1


def test_RFT_08_the_pending_key_opens_the_store_too_and_a_start_finishes_the_rotation(tmp_path: Path) -> None:
    member = begun(tmp_path)
    member.write(10)
    member.state.keys.rotate()
    member.close()
    assert held_keys(tmp_path) == 2
    again = LoneEngine(load(tmp_path, CLUSTER, NODE), TIMING)
    assert again.notebook.commands[-1].startswith(b"10")
    again.turn_until(lambda: not again.state.keys.rotating)
    again.close()
    assert sealing_keys(tmp_path) == {again.state.keys.current.id}
    assert held_keys(tmp_path) == 1
    assert commands(tmp_path) == numbers(10)


def test_RFT_08_a_snapshot_begun_with_the_old_key_does_not_outlive_it(tmp_path: Path) -> None:
    """It is installed, and another one is forced before the key goes."""
    member = begun(tmp_path)
    member.write(10)
    member.engine._core.freeze()
    member.rotate()
    member.close()
    assert member.snapshots == 2
    assert sealing_keys(tmp_path) == {member.state.keys.current.id}
    assert commands(tmp_path) == numbers(10)


def test_RFT_08_a_snapshot_that_arrives_under_a_retired_key_is_sent_again(tmp_path: Path) -> None:
    member = begun(tmp_path)
    member.write(3)
    old = member.state.keys.current
    member.rotate()
    path = tmp_path / "snapshot.arrived"
    SnapshotWriter(path, member.state.owner, old, member.state.open_snapshot().state).finish()
    answers: list[tuple[int, int]] = []
    member.engine.post(ev.SnapshotArrived(NODE, 99, path, lambda term, index: answers.append((term, index))))
    member.turn_until(lambda: bool(answers))
    assert answers[0][1] == 0
    assert not path.exists()
    member.close()
    assert commands(tmp_path) == numbers(3)


@pytest.mark.parametrize("after", ["everything", "power loss"])
@pytest.mark.parametrize("lock", [None, KEY], ids=["rotation", "lock"])
def test_RFT_08_a_crash_after_any_step_of_a_rotation_loses_nothing(
    tmp_path: Path, after: str, lock: bytes | None
) -> None:
    """`power loss`: of what was not synced nothing is left, and no name that its folder was not synced for."""
    member = begun(tmp_path / "0")
    member.write(3)
    member.rotate()
    member.write(6)
    member.close()
    load(tmp_path / "0", CLUSTER, NODE).journal.close()  # so there are a snapshot and several files of the log
    steps = 0
    while True:
        steps += 1
        folder, record = tmp_path / f"{steps}", tmp_path / f"{steps}.record"
        shutil.copytree(tmp_path / "0", folder)
        member = LoneEngine(load(folder, CLUSTER, NODE), TIMING)
        platter = Platter(record)
        platter.sync_all(folder)
        finished = False
        with counted(steps, platter) as operations:
            try:
                member.rotate(lock)
                finished = True
            except Died:
                pass
        member.state.journal.close()
        platter.close()
        if after == "power loss":
            lose_power(folder, record)
        opened = [key for key in (b"", KEY) if opens(folder, key)]
        assert opened, f"after {operations.done} no key opens it"
        again = LoneEngine(load(folder, CLUSTER, NODE, opened[0]), TIMING)
        assert again.notebook.commands == member.notebook.commands, f"after {operations.done}"
        again.turn_until(lambda again=again: not again.state.keys.rotating)  # type: ignore[misc]
        again.close()
        assert sealing_keys(folder) == {again.state.keys.current.id}
        if finished:
            assert opened == ([KEY] if lock else [b"", KEY])
            break
    assert steps > 20


def opens(folder: Path, key: bytes) -> bool:
    try:
        load_keys(folder, key)
    except Locked:
        return False
    return True


def test_CA_08_a_locked_log_opens_only_with_its_unlock_key(tmp_path: Path) -> None:
    member = begun(tmp_path, KEY)
    member.write(3)
    member.close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(Locked, match=r"is locked: .* only once the cluster's unlock key is given"):
        load(tmp_path, CLUSTER, NODE)
    with pytest.raises(Locked, match="is locked, and with another unlock key than the one given"):
        load(tmp_path, CLUSTER, NODE, OTHER)
    with pytest.raises(InvalidArgument, match="32 bytes, not 3"):
        load(tmp_path, CLUSTER, NODE, b"key")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert commands(tmp_path, KEY) == numbers(3)


def test_CA_08_another_unlock_key_locks_out_the_earlier_one_and_the_data_key_it_knew(tmp_path: Path) -> None:
    member = begun(tmp_path, KEY)
    member.write(3)
    known = member.state.keys.current.id
    member.rotate(OTHER)
    member.close()
    assert known not in sealing_keys(tmp_path)
    with pytest.raises(Locked):
        load(tmp_path, CLUSTER, NODE, KEY)
    assert commands(tmp_path, OTHER) == numbers(3)


def test_CA_08_locking_and_unlocking_a_running_member(tmp_path: Path) -> None:
    member = begun(tmp_path)
    member.write(3)
    in_clear = (tmp_path / "data-key").read_bytes()
    member.rotate(KEY)
    assert member.state.keys.locked
    member.rotate()  # it stays locked
    assert not opens(tmp_path, b"")
    secrets = member.state.keys._secrets[0]
    assert secrets not in (tmp_path / "data-key").read_bytes()
    assert secrets not in in_clear
    member.rotate(b"")
    assert not member.state.keys.locked
    assert opens(tmp_path, b"")
    member.close()
    assert commands(tmp_path) == numbers(3)


def test_CA_08_a_damaged_key_file_is_told_from_a_wrong_key(tmp_path: Path) -> None:
    create_keys(tmp_path, KEY)
    path = tmp_path / "data-key"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(DamagedState, match="the data keys are damaged"):
            load_keys(tmp_path, KEY)
        path.write_bytes(whole[:at])
        with pytest.raises(DamagedState, match="the data keys are damaged"):
            load_keys(tmp_path, KEY)


async def test_RFT_08_members_rotate_their_keys_under_load(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3, SMALL) as made:
        for number in range(30):
            await written(made, b"%d" % number)
            if number % 10 == 5:
                await made.managers[number // 10].raft.rotate_key(KEY)
        await everywhere(made.managers, b"29")
        for manager in made.managers:
            assert not opens(manager.folder, b"")
            assert held_keys(manager.folder, KEY) == 1
            with pytest.raises(InvalidArgument):
                await manager.raft.rotate_key(b"short")
