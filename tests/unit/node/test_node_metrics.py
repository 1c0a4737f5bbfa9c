"""`/metrics`: what a worker shows, what a manager shows, and a port that is taken."""

import socket
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from core.errors import FailedPrecondition
from core.model import Node, NodeState, NodeStatus, Secret, Service, Task, TaskState, TaskStatus
from pyswarm.node.metrics import MetricsServer
from tests.support.ports import free_port


async def shown(node: Any) -> dict[str, float]:
    """The figures by name; those of the process aside."""
    address = f"127.0.0.1:{free_port()}"
    server = MetricsServer(address, node)
    await server.start()
    try:
        async with aiohttp.ClientSession() as client, client.get(f"http://{address}/metrics") as answer:
            lines = (await answer.text()).splitlines()
    finally:
        await server.stop()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("swarm_"))
    return {name: float(value) for name, value in pairs}


async def test_a_worker_shows_its_session() -> None:
    node = SimpleNamespace(manager=None, connected=True)
    assert await shown(node) == {"swarm_agent_connected": 1, "swarm_node_manager": 0}


async def test_a_manager_shows_the_cluster() -> None:
    store = SimpleNamespace(
        index=42,
        services=lambda: [Service(id="s")],
        secrets=lambda: [Secret(id="s")],
        configs=list,
        nodes=lambda: [Node(id=str(n), status=NodeStatus(state=NodeState.READY)) for n in range(3)],
        tasks=lambda: [Task(id=str(n), status=TaskStatus(state=TaskState.RUNNING)) for n in range(2)],
    )
    node = SimpleNamespace(manager=SimpleNamespace(is_leader=True, store=store), connected=False)
    assert await shown(node) == {
        "swarm_agent_connected": 0,
        "swarm_node_manager": 1,
        "swarm_manager_leader": 1,
        "swarm_raft_applied_index": 42,
        "swarm_manager_services_total": 1,
        "swarm_manager_secrets_total": 1,
        "swarm_manager_configs_total": 0,
        'swarm_manager_nodes{state="ready"}': 3,
        'swarm_manager_tasks_total{state="running"}': 2,
    }


async def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = MetricsServer(f"127.0.0.1:{port}", SimpleNamespace(manager=None, connected=True))
        with pytest.raises(FailedPrecondition, match=rf"metrics on 127.0.0.1:{port}.*--metrics-addr"):
            await server.start()
        await server.stop()


async def test_no_address_serves_nothing() -> None:
    server = MetricsServer("", SimpleNamespace(manager=None, connected=True))
    await server.start()
    await server.stop()
