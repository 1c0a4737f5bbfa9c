"""Three processes of our log. Each serves, beside the log itself, the one call of etcd's that the clients make."""

import json
import multiprocessing
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import grpc
import uvloop

from benchmarks.agents import Authority
from benchmarks.raft_holds import Holds
from benchmarks.raft_load import Door
from benchmarks.raft_machines import Machine, Pairs
from benchmarks.raft_target import HOST, MEMBERS, Target, free_port
from core.errors import PyswarmError
from core.ids import new_id
from core.interpreter import tune_interpreter
from core.logs import configure
from core.model import Role
from core.rpc import abort
from identity.channels import SERVER_OPTIONS, listen
from identity.model import MANAGER_NAME
from identity.root import create_root
from proto.raft_pb2_grpc import add_RaftServicer_to_server
from raft import RaftNode, Timing, open_member

_SERVICE = "benchmark.Log"

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Place:
    """What a member's process is told."""

    folder: Path
    addr: str
    founder: str
    """The address of the member that founds the log."""
    node_id: str
    authority: Authority
    timing: Timing
    machine: Callable[[], Machine]
    watched: bool
    """Whether it watches its threads, which costs time itself."""


class Ours(Target):
    name = "pyswarm"

    def __init__(
        self,
        folder: Path,
        timing: Timing | None = None,
        machine: Callable[[], Machine] = Pairs,
        watched: bool = False,
    ) -> None:
        folder.mkdir(mode=0o700)
        root, root_key = create_root(time.time_ns())
        authority = Authority(new_id(), root, root_key)
        bundle = authority.credentials(new_id(), Role.MANAGER).bundle
        addrs = [f"{HOST}:{free_port()}" for _ in MEMBERS]
        self._places = [
            Place(folder / f"m{number}", addr, addrs[0], new_id(), authority, timing or Timing(), machine, watched)
            for number, addr in enumerate(addrs)
        ]
        self._doors = [Door(addr, f"/{_SERVICE}/Put", bundle, MANAGER_NAME) for addr in addrs]
        self._processes: dict[int, BaseProcess] = {}

    async def form(self) -> None:
        self.start(0)
        await self.leader()
        for member in MEMBERS[1:]:
            self.start(member)
        await self.settle()

    def door(self, member: int) -> Door:
        return self._doors[member]

    async def status(self, member: int) -> tuple[bool, int]:
        leads, applied, _ = json.loads(await self.ask(member, f"/{_SERVICE}/Status"))
        return leads, applied

    async def count(self, member: int) -> int:
        """The objects it holds."""
        count: int = json.loads(await self.ask(member, f"/{_SERVICE}/Status"))[2]
        return count

    async def holds(self, member: int) -> dict[str, float]:
        """Since they were last asked for."""
        holds: dict[str, float] = json.loads(await self.ask(member, f"/{_SERVICE}/Holds"))
        return holds

    def snapshot_time(self, member: int) -> int:
        """When its last one was finished; 0: never."""
        path = self._places[member].folder / "snapshot"
        return path.stat().st_mtime_ns if path.exists() else 0

    def start(self, member: int) -> None:
        process = multiprocessing.get_context("spawn").Process(target=_run, args=(self._places[member],), daemon=True)
        process.start()
        self._processes[member] = process

    def pid(self, member: int) -> int:
        return self._processes[member].pid or 0

    def kill(self, member: int) -> None:
        process = self._processes.pop(member)
        process.kill()
        process.join()

    def stop(self) -> None:
        for member in tuple(self._processes):
            self.kill(member)


def _run(place: Place) -> None:
    configure(level="error")
    tune_interpreter()
    uvloop.run(_serve(place))


async def _serve(place: Place) -> None:
    credentials = place.authority.credentials(place.node_id, Role.MANAGER)
    machine, founding = place.machine(), place.addr == place.founder
    node = open_member(place.folder, place.addr, credentials, machine, bootstrap=founding, timing=place.timing)
    server = grpc.aio.server(options=list(SERVER_OPTIONS))
    add_RaftServicer_to_server(node.servicer, server)
    holds = Holds(node) if place.watched else None
    server.add_generic_rpc_handlers((_handler(node, machine, holds),))
    listen(server, place.addr, credentials.server_credentials())
    await server.start()
    await node.start()
    if not node.joined:
        await node.join(place.founder)
    await node.ended()


def _handler(node: RaftNode, machine: Machine, holds: Holds | None) -> grpc.GenericRpcHandler:
    async def put(request: bytes, context: Context) -> bytes:
        try:
            await node.propose(request, secrets.token_bytes(16))
        except PyswarmError as error:
            await abort(context, error)
        return b""

    async def status(request: bytes, context: Context) -> bytes:
        return json.dumps([node.leadership.is_leader, node.applied, machine.count()]).encode()

    async def take_holds(request: bytes, context: Context) -> bytes:
        return json.dumps(holds.take() if holds else {}).encode()

    handlers: dict[str, Any] = {"Put": put, "Status": status, "Holds": take_holds}
    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.unary_unary_rpc_method_handler(handler) for name, handler in handlers.items()
    }
    return grpc.method_handlers_generic_handler(_SERVICE, methods)
