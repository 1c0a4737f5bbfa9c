"""A whole state on its way from one member's disk to another's."""

import asyncio
from pathlib import Path

import pytest

from tests.support.managers import Manager, cluster, until
from tests.unit.raft.test_cluster import SMALL, everywhere, written


async def test_S9_a_damaged_snapshot_is_not_taken_and_the_next_one_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with cluster(tmp_path, 1, SMALL) as made:
        (manager,) = made.managers
        path = manager.folder / "snapshot"
        for number in range(30):
            await written(made, b"%d" % number)
        await until(path.exists)
        data = bytearray(path.read_bytes())
        data[-200] ^= 1
        path.write_bytes(data)
        joining = Manager(made.authority, tmp_path, SMALL)
        await joining.start()
        made.managers.append(joining)
        joined = asyncio.create_task(joining.raft.join(manager.addr))
        said = ""

        def told() -> bool:
            nonlocal said
            said += "".join(capsys.readouterr())
            return "a snapshot cannot be sent" in said

        await until(told)
        assert f"{path}: the snapshot is damaged" in said
        assert not joined.done()
        for number in range(30, 60):
            await written(made, b"%d" % number, joining)
        await joined
        await everywhere([joining], b"59")
        assert joining.notebook.commands == manager.notebook.commands
