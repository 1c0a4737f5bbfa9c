"""A manager that is demoted and promoted again, with real managers over gRPC and disks; the engine is played."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import OutOfSequence
from core.model import Role
from tests.support.local_nodes import LocalNode, local_nodes
from tests.support.waiting import eventually


async def set_role(by: LocalNode, node_id: str, role: Role) -> None:
    control = by.api.control()
    while (found := await control.get_node(node_id)).spec.role is not role:
        with suppress(OutOfSequence):
            await control.update_node(found.id, found.meta.version, replace(found.spec, role=role))


async def test_ROL_01_a_manager_that_is_promoted_again_as_soon_as_it_has_left_the_log_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local_nodes(tmp_path, 3, monkeypatch) as (one, two, three):
        await one.init()
        await two.join_as_manager(one)
        await three.join_as_manager(one)
        await eventually("three managers", lambda: one.reachable == 3 and two.api.connected)
        node_id = two.api.status().node_id
        await set_role(one, node_id, Role.WORKER)
        while one.reachable == 3:  # noqa: ASYNC110 - a look in every turn: its role is changed just after
            await asyncio.sleep(0)
        await set_role(one, node_id, Role.MANAGER)
        await eventually("three managers again", lambda: one.reachable == two.reachable == 3)
