import os
import stat

import pytest

from core.errors import FailedPrecondition
from pyswarm.engineapi.app import make_app
from pyswarm.engineapi.server import Server
from tests.support.fake_node import FakeNode


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "pyswarm.sock"


async def test_only_owner_and_group_may_open_the_socket_and_it_goes_with_the_server(path):
    server = Server(make_app(FakeNode()), path)
    await server.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    await server.stop()
    assert not path.exists()


async def test_a_group_may_be_named(path):
    server = Server(make_app(FakeNode()), path, group="root")
    await server.start()
    assert path.stat().st_gid == 0
    await server.stop()


async def test_the_socket_of_a_daemon_that_is_gone_is_replaced(path):
    first = Server(make_app(FakeNode()), path)
    await first.start()
    await first.stop()
    os.mknod(path, stat.S_IFSOCK | 0o600)
    second = Server(make_app(FakeNode()), path)
    await second.start()
    await second.stop()


async def test_a_second_daemon_is_refused(path):
    first = Server(make_app(FakeNode()), path)
    await first.start()
    with pytest.raises(FailedPrecondition, match="another daemon serves"):
        await Server(make_app(FakeNode()), path).start()
    await first.stop()


async def test_what_is_not_a_socket_is_left_alone(path):
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(FailedPrecondition, match="is not a socket"):
        await Server(make_app(FakeNode()), path).start()
    assert path.read_text() == "precious"
