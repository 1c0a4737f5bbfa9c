"""`/metrics` for Prometheus, under Swarm's names where it has some. Everything is read when it is asked for."""

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from core.errors import FailedPrecondition
from manager.manager import Manager
from pyswarm.node.addresses import parse_host_port


class Observed(Protocol):
    """The node whose figures are shown."""

    @property
    def manager(self) -> Manager | None: ...

    @property
    def connected(self) -> bool: ...


class MetricsServer:
    """On `address` (host:port), which should be a local one: nobody is asked who they are. Empty serves nothing."""

    def __init__(self, address: str, node: Observed) -> None:
        self._address = address
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_NodeCollector(node))
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises FailedPrecondition if the port is taken."""
        if not self._address:
            return
        app = web.Application()
        app.router.add_get("/metrics", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        address = parse_host_port(self._address, default_port=9377)
        try:
            await web.TCPSite(self._runner, address.host, address.port).start()
        except OSError as error:
            raise FailedPrecondition(
                f"cannot serve metrics on {address}: {error.strerror}; choose another with --metrics-addr"
            ) from None

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": "text/plain; version=0.0.4"})


class _NodeCollector(Collector):
    def __init__(self, node: Observed) -> None:
        self._node = node

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("swarm_agent_connected", "Whether the node has a session", self._node.connected)
        manager = self._node.manager
        yield GaugeMetricFamily("swarm_node_manager", "Whether this node is a manager", manager is not None)
        if manager is None:
            return
        yield GaugeMetricFamily("swarm_manager_leader", "Whether this manager leads", manager.is_leader)
        yield GaugeMetricFamily("swarm_raft_applied_index", "The last log entry applied", manager.store.index)
        yield GaugeMetricFamily("swarm_manager_services_total", "Services", len(list(manager.store.services())))
        secrets, configs = list(manager.store.secrets()), list(manager.store.configs())
        yield GaugeMetricFamily("swarm_manager_secrets_total", "Secrets, with old versions in use", len(secrets))
        yield GaugeMetricFamily("swarm_manager_configs_total", "Configs, with old versions in use", len(configs))
        nodes = GaugeMetricFamily("swarm_manager_nodes", "Nodes by state", labels=["state"])
        for state, count in Counter(node.status.state.name.lower() for node in manager.store.nodes()).items():
            nodes.add_metric([state], count)
        yield nodes
        tasks = GaugeMetricFamily("swarm_manager_tasks_total", "Tasks by observed state", labels=["state"])
        for state, count in Counter(task.status.state.name.lower() for task in manager.store.tasks()).items():
            tasks.add_metric([state], count)
        yield tasks
