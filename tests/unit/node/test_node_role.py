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
        self.wiped = 0
        self.wiped_while_open = False
        self.lets_in = asyncio.Event()
        """Whether a manager that begins is taken up by the others."""
        self.lets_in.set()

    def wipe(self) -> None:
        self.wiped += 1
        self.wiped_while_open |= bool(self.open)


class FakeManager:
    def __init__(self, folder: Folder) -> None:
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._folder = folder
        folder.open.add(self)
        folder.most = max(folder.most, len(folder.open))

    async def start(self, founding: object, managers: object) -> None:
        await self._folder.lets_in.wait()

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


async def test_ROL_01_a_log_is_wiped_also_if_the_node_was_a_worker_only_while_its_manager_began(role, folder, identity):
    """Demoted and promoted again before the join came to an end: the others let nobody in with the old log."""
    folder.lets_in.clear()
    failed = role.manager
    failed.failure.set_result("the disk is full")
    await eventually("another begins", lambda: folder.open and failed not in folder.open)
    for identity.role in (Role.WORKER, Role.MANAGER):
        role.look_again()
    await asyncio.sleep(0)
    begun = set(folder.open)
    folder.lets_in.set()
    await eventually("a third one runs", lambda: role.manager is not None and role.manager not in begun)
    assert folder.wiped == 1
    assert not folder.wiped_while_open
    assert folder.most == 1
