"""Time, the network, the nodes and who leads: what the dispatcher does for a cluster, over a network that is slow.

Everything random comes from one source. What the network delays is delivered later, what it loses is sent again; news
never overtake one another, as on the one stream that each agent has.
"""

from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from random import Random

from core.clock import MILLISECOND, SECOND
from core.model import GenericResource, Node, NodeDescription, NodeState, Resources, Task, TaskState
from manager.control.nodes import forget_node
from manager.dispatcher.nodes import register, set_state
from manager.store import Commit, EventKind
from tests.support.cluster_sim.agent import SimAgent
from tests.support.small_cluster import SmallCluster, Writer
from tests.support.stage import LINUX, make_node

MISSED_HEARTBEATS = 3 * SECOND
"""A node that has been silent for so long is down."""
RETURN_LIMIT = MISSED_HEARTBEATS + SECOND
"""So long a new leader waits for a node."""
LOSS = 0.1


def described(cpus: int) -> NodeDescription:
    """A machine with two named resources and three that are only counted."""
    gpus = [GenericResource("gpu", id=name) for name in ("gpu-a", "gpu-b")]
    generic = (*gpus, GenericResource("ssd", value=3))
    return NodeDescription("", LINUX, Resources(cpus * 10**9, 1 << 33, generic))


class World:
    def __init__(self, rng: Random, nodes: int, history: int = 5) -> None:
        self.rng = rng
        self.peace = False
        """Nothing fails any more."""
        self.cluster = SmallCluster(history=history)
        self.agents: dict[str, SimAgent] = {}
        self._serial = count()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        for store in (self.cluster.store, self.cluster.follower):
            store.watch(lambda commit, store=store: self._tell(commit) if store is self.cluster.store else None)
        for _ in range(nodes):
            self.add_node()

    # -- time

    @property
    def now(self) -> int:
        return self.cluster.now

    def after(self, delay: int, act: Callable[[], None]) -> None:
        """`delay` in ns."""
        heappush(self._events, (self.now + delay, next(self._serial), act))

    def run(self, seconds: float) -> None:
        end = self.now + int(seconds * SECOND)
        self.cluster.settle()
        while self._events and self._events[0][0] <= end:
            time, _, act = heappop(self._events)
            if time > self.now:
                self.cluster.wait((time - self.now) / SECOND)
            act()
            self.cluster.settle()
        if end > self.now:
            self.cluster.wait((end - self.now) / SECOND)

    def latency(self) -> int:
        """Of one message, with what it takes to send it again if it is lost."""
        delay = self.rng.randrange(1, 200) * MILLISECOND
        while self.rng.random() < LOSS and not self.peace:
            delay += SECOND
        return delay

    # -- nodes, as the dispatcher writes them

    def add_node(self) -> None:
        number = len(self.agents)
        made = make_node(f"node-{number}")
        self.cluster.put_node(replace(made, description=None, status=replace(made.status, state=NodeState.UNKNOWN)))
        self.agents[made.id] = SimAgent(self, made.id, replace(described(8), hostname=made.id))
        self.agents[made.id].connect()

    def register(self, node_id: str, description: NodeDescription) -> None:
        self.cluster.write(lambda tx: register(tx, node_id, description, "192.0.2.1"))

    def cut(self, agent: SimAgent, seconds: int) -> None:
        """The network to a node is gone for so long."""
        agent.cut()
        self.after(MISSED_HEARTBEATS, lambda: self._find_silent(agent, MISSED_HEARTBEATS))
        self.after(seconds * SECOND, lambda: self._reconnect(agent))

    def remove_node(self, node: Node) -> None:
        self.agents[node.id].lose_all()
        self.cluster.write(lambda tx: forget_node(tx, node, self.now))

    def change_leader(self) -> None:
        """Nobody is heard at first; nothing is moved until it is clear who is there."""
        self.cluster.change_leader()
        for agent in self.agents.values():
            if agent.connected:
                agent.cut()
                self.after(self.latency(), lambda agent=agent: self._reconnect(agent))
        for node in list(self.cluster.store.nodes()):
            if node.status.state is not NodeState.DOWN:
                self._set_state(node.id, NodeState.UNKNOWN)
                agent = self.agents[node.id]
                agent.silent_since = self.now
                self.after(RETURN_LIMIT, lambda agent=agent: self._find_silent(agent, RETURN_LIMIT))

    def in_cluster(self, agent: SimAgent) -> bool:
        return self.cluster.store.node(agent.id) is not None

    def _reconnect(self, agent: SimAgent) -> None:
        if not agent.connected and self.in_cluster(agent):
            agent.connect()

    def _find_silent(self, agent: SimAgent, limit: int) -> None:
        if not agent.connected and self.in_cluster(agent) and self.now - agent.silent_since >= limit:
            agent.lose_all()
            self._set_state(agent.id, NodeState.DOWN)

    def _set_state(self, node_id: str, state: NodeState) -> None:
        self.cluster.write(lambda tx: set_state(tx, node_id, state, "", lambda _: True))

    def _tell(self, commit: Commit) -> None:
        for event in commit.events:
            task = event.object
            if isinstance(task, Task) and task.node_id in self.agents:
                agent = self.agents[task.node_id]
                agent.touch(task.id)
                if self.cluster.writer is Writer.MANAGERS and _is_given_up(event.kind, task):
                    agent.lost.add(task.id)
            elif isinstance(event.object, Node) and event.kind is EventKind.DELETE:
                self.agents[event.object.id].cut()


def _is_given_up(kind: EventKind, task: Task) -> bool:
    """Whether its node is no longer fit for it: it counts as ended then, before its agent has said so."""
    return kind is EventKind.DELETE or task.status.state is TaskState.REJECTED
