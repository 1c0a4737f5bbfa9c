"""The manager on a node follows the node's certificate, and never two of them have one folder."""

import asyncio
from types import SimpleNamespace

import pytest

from core.model import Role
from pyswarm.node.role import ManagerRole
from tests.support.waiting import eventually

STOPPING = 0.2


class Folder:
    """Who has it open, and whether it was ever wiped while it was."""

    def __init__(self) -> None:
        self.open: set[FakeManager] = set()
        self.most = 0
        self.wiped_while_open = False

    def wipe(self) -> None:
        self.wiped_while_open |= bool(self.open)


class FakeManager:
    def __init__(self, folder: Folder) -> None:
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._folder = folder
        folder.open.add(self)
        folder.most = max(folder.most, len(folder.open))

    async def start(self, founding: object, managers: object) -> None: ...

    async def ended(self) -> str:
        return await self.failure

    async def stop(self) -> None:
        await asyncio.sleep(STOPPING)
        self._folder.open.discard(self)


@pytest.fixture
def folder() -> Folder:
    return Folder()


@pytest.fixture
async def identity() -> SimpleNamespace:
    return SimpleNamespace(role=Role.MANAGER)


async def never(manager: object) -> None:
    """No keys to lock."""


@pytest.fixture
async def role(folder: Folder, identity: SimpleNamespace):
    tasks: list[asyncio.Task[None]] = []

    def spawn(work):
        tasks.append(asyncio.create_task(work))

    agent = SimpleNamespace(managers=(), know_managers=lambda addrs: None)
    credentials = SimpleNamespace(identity=identity)
    made = ManagerRole(
        credentials, agent, "here:2377", lambda founding: FakeManager(folder), never, folder.wipe, spawn, None
    )
    made.look_again()
    spawn(made.follow())
    await eventually("it runs", lambda: made.manager is not None)
    yield made
    await made.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_new_manager_waits_until_the_one_that_failed_has_let_go_of_the_log(role, folder):
    failed = role.manager
    failed.failure.set_result("the disk is full")
    await eventually("it is given up", lambda: role.manager is None)
    role.look_again()  # as a new certificate does
    await eventually("another runs", lambda: role.manager not in (None, failed))
    assert folder.most == 1


async def test_a_log_is_wiped_only_once_its_manager_has_ended(role, folder, identity):
    role.manager.failure.set_result("the disk is full")
    await eventually("it is given up", lambda: role.manager is None)
    identity.role = Role.WORKER
    role.look_again()
    await eventually("it has ended", lambda: not folder.open)
    assert not folder.wiped_while_open
