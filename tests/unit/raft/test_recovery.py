"""A cluster of one out of what a lost cluster left: its last manager's log, or a copy of its state."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import FailedPrecondition, PermissionDenied, UnknownOutcome
from raft import MAX_COMMAND, Timing, codec, create_from_copy, force_new_cluster
from raft.storage import state
from raft.storage.frame import MAX_FRAME
from tests.support.managers import STEADY, Cluster, Manager, Notebook, cluster, until
from tests.unit.raft.test_cluster import SMALL, everywhere, written

LAST = b"the others are gone"


def force(manager: Manager, notebook: Notebook | None = None) -> None:
    """As the manager's process would, which is stopped."""
    machine = notebook or Notebook()
    force_new_cluster(manager.folder, manager.addr, manager.credentials.identity, machine, lambda: [LAST])


async def kill_all(made: Cluster) -> None:
    for manager in made.managers:
        await manager.kill()


@pytest.mark.parametrize("timing", [STEADY, SMALL], ids=["log", "snapshot and log"])
async def test_RFT_05_force_new_cluster_leaves_exactly_one_member_with_all_data(tmp_path: Path, timing: Timing) -> None:
    async with cluster(tmp_path, 3, timing) as made:
        for number in range(50):
            await written(made, b"%d" % number)
        await everywhere(made.managers, b"49")
        await kill_all(made)
        survivor = made.managers[1]
        seen = Notebook()
        force(survivor, seen)
        expected = [b"%d" % number for number in range(50)]
        assert seen.commands == expected
        await survivor.start()
        await until(lambda: survivor.leadership.is_leader)
        assert [member.node_id for member in survivor.raft.members()] == [survivor.id]
        assert survivor.notebook.commands == [*expected, LAST]
        await survivor.propose(b"after")
        await survivor.kill()
        await survivor.start()
        await until(lambda: survivor.leadership.is_leader)
        assert survivor.notebook.commands == [*expected, LAST, b"after"]


async def test_RFT_05_the_old_members_can_neither_speak_to_it_nor_come_back(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        await written(made, b"before")
        await everywhere(made.managers, b"before")
        await kill_all(made)
        survivor, *old = made.managers
        force(survivor)
        await survivor.start()
        await until(lambda: survivor.leadership.is_leader)
        for manager in old:
            await manager.start()
        await written(made, b"of the old ones", survivor)
        await survivor.propose(b"of the new one")
        assert not any(m.reachable for m in old[0].raft.members() if m.node_id == survivor.id)
        assert b"of the old ones" not in survivor.notebook.commands
        assert all(b"of the new one" not in manager.notebook.commands for manager in old)
        with pytest.raises(PermissionDenied, match="cannot come back with its old state"):
            await old[0].raft.join(survivor.addr)
        assert len(survivor.raft.members()) == 1


async def test_RFT_05_new_managers_join_the_forced_cluster(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3, SMALL) as made:
        for number in range(30):
            await written(made, b"%d" % number)
        await everywhere(made.managers, b"29")
        await kill_all(made)
        survivor = made.managers[2]
        force(survivor)
        await survivor.start()
        await until(lambda: survivor.leadership.is_leader)
        made.managers = [survivor]
        await made.grow(2)
        await written(made, b"after")
        await everywhere(made.managers, b"after")
        assert all(manager.notebook.commands == survivor.notebook.commands for manager in made.managers)


async def test_what_was_not_committed_yet_counts(tmp_path: Path) -> None:
    async with cluster(tmp_path, 3) as made:
        leader = await made.leader()
        for manager in made.managers:
            if manager is not leader:
                await manager.kill()
        leader.notice_silence_soon()
        with pytest.raises(UnknownOutcome, match="may still be made"):
            await leader.propose(b"in doubt")
        await leader.kill()
        force(leader)
        await leader.start()
        await until(lambda: leader.leadership.is_leader)
        assert leader.notebook.commands == [b"in doubt", LAST]


async def test_a_crash_before_the_end_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with cluster(tmp_path, 3) as made:
        await written(made, b"before")
        await kill_all(made)
        survivor = made.managers[0]

        def crash(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", crash)
            with pytest.raises(KeyboardInterrupt):
                force(survivor)
        for manager in made.managers:
            await manager.start()
        await written(made, b"after")
        await everywhere(made.managers, b"after")
        assert len(survivor.raft.members()) == 3


async def test_it_can_be_forced_again_and_at_another_address(tmp_path: Path) -> None:
    async with cluster(tmp_path, 2) as made:
        await written(made, b"before")
        await everywhere(made.managers, b"before")
        await kill_all(made)
        survivor = made.managers[0]
        force(survivor)
        force(survivor)
        await survivor.start(keep_addr=False)
        await until(lambda: survivor.leadership.is_leader)
        await until(lambda: [member.addr for member in survivor.raft.members()] == [survivor.addr])
        assert survivor.notebook.commands == [b"before", LAST, LAST]


async def test_all_last_changes_are_entries_however_many_bytes_they_are(tmp_path: Path) -> None:
    changes = [b"%d" % number + b"x" * (MAX_COMMAND - 2) for number in range(MAX_FRAME // MAX_COMMAND + 2)]
    async with cluster(tmp_path, 1) as made:
        (survivor,) = made.managers
        await survivor.propose(b"before")
        await survivor.kill()
        identity = survivor.credentials.identity
        force_new_cluster(survivor.folder, survivor.addr, identity, Notebook(), lambda: changes)
        held = state.load(survivor.folder, identity.cluster_id, identity.node_id)
        held.journal.close()
        assert [codec.decode_command(entry.command)[1] for entry in held.journal.entries][-len(changes) :] == changes


async def test_a_last_change_that_no_log_can_hold_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (survivor,) = made.managers
        await survivor.propose(b"before")
        await survivor.kill()
        identity = survivor.credentials.identity
        too_large = b"x" * (2 * MAX_COMMAND)
        with pytest.raises(FailedPrecondition, match=r"too large.*left as it was; use a backup"):
            force_new_cluster(survivor.folder, survivor.addr, identity, Notebook(), lambda: [b"fits", too_large])
        await survivor.start()
        await until(lambda: survivor.leadership.is_leader)
        assert survivor.notebook.commands == [b"before"]


async def test_one_that_was_never_a_full_member_is_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        joiner = Manager(made.authority, tmp_path, STEADY)
        await joiner.start()
        await joiner.stop()
        with pytest.raises(FailedPrecondition, match=r"never a full member.*use another manager, or a backup"):
            force(joiner)


async def test_a_copy_becomes_a_cluster_of_one_that_goes_on_at_its_index(tmp_path: Path) -> None:
    async with cluster(tmp_path, 1) as made:
        (old,) = made.managers
        for number in range(20):
            index = await old.propose(b"%d" % number)
        chunks = list(old.notebook.freeze()())
        new = Manager(made.authority, tmp_path, STEADY)
        create_from_copy(new.folder, "127.0.0.1:1", new.credentials.identity, index, chunks)
        try:
            await new.start()
            await until(lambda: new.leadership.is_leader)
            assert new.notebook.commands == old.notebook.commands
            assert await new.propose(b"after") > index
            await new.kill()
            await new.start()
            await until(lambda: new.leadership.is_leader)
            assert new.notebook.commands == [*old.notebook.commands, b"after"]
            await until(lambda: [(m.node_id, m.addr) for m in new.raft.members()] == [(new.id, new.addr)])
        finally:
            await new.kill()


async def test_a_copy_that_ends_early_leaves_no_log(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"[]"
        raise ValueError("damaged")

    async with cluster(tmp_path, 1) as made:
        new = Manager(made.authority, tmp_path, STEADY)
        with pytest.raises(ValueError, match="damaged"):
            create_from_copy(new.folder, "127.0.0.1:1", new.credentials.identity, 9, broken())
        assert not new.folder.exists()
        create_from_copy(new.folder, "127.0.0.1:1", new.credentials.identity, 9, [])
        with pytest.raises(FailedPrecondition, match="move it away"):
            create_from_copy(new.folder, "127.0.0.1:1", new.credentials.identity, 9, [])
