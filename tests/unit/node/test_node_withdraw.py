"""A manager whose join failed after it was admitted asks to be forgotten again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from core.errors import NotLeader
from core.model import Role
from core.rpc import abort
from identity.access import Context
from identity.credentials import Credentials
from proto import control_pb2 as pb
from proto.control_pb2_grpc import ControlServicer, add_ControlServicer_to_server
from pyswarm.node.join import withdraw
from tests.support.certificates import Issuer

GONE = "127.0.0.1:1"


class PlayedManager(ControlServicer):
    """Remembers whom it was asked to remove; a follower names its leader instead."""

    def __init__(self, leader: str | None = None) -> None:
        self.leader = leader
        self.removed: list[tuple[str, bool]] = []

    async def RemoveNode(self, request: pb.RemoveNodeRequest, context: Context) -> pb.Empty:
        if self.leader is not None:
            await abort(context, NotLeader(self.leader))
        self.removed.append((request.ref, request.force))
        return pb.Empty()


@asynccontextmanager
async def serving(manager: PlayedManager, credentials: Credentials) -> AsyncIterator[str]:
    server = grpc.aio.server()
    add_ControlServicer_to_server(manager, server)
    port = server.add_secure_port("127.0.0.1:0", credentials.server_credentials())
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def test_the_leader_is_found_past_the_dead_and_the_followers() -> None:
    credentials = Issuer().credentials(role=Role.MANAGER)
    leading = PlayedManager()
    async with serving(leading, credentials) as leader, serving(PlayedManager(leader), credentials) as follower:
        await withdraw([GONE, follower], credentials)
    assert leading.removed == [(credentials.identity.node_id, True)]


async def test_managers_that_name_each_other_are_asked_once() -> None:
    credentials = Issuer().credentials(role=Role.MANAGER)
    one = PlayedManager()
    async with serving(one, credentials) as addr:
        one.leader = addr
        await withdraw([addr], credentials)
    assert one.removed == []


async def test_without_managers_nobody_is_asked() -> None:
    await withdraw([], Issuer().credentials(role=Role.MANAGER))
