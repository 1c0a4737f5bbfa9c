"""A whole cluster in simulated time: managers, and nodes with agents that hear late, report late, and fail.

Everything random comes from one seed. What the network delays is delivered later, what it loses is sent again; news
never overtake one another, as on the one stream that each agent has.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from random import Random

from core.clock import MILLISECOND, SECOND
from core.model import NodeState, Task, TaskState
from manager.store import Commit
from tests.support.small_cluster import SmallCluster
from tests.support.stage import make_node

MISSED_HEARTBEATS = 3 * SECOND
"""A node that has been silent for so long is down."""


class Simulation:
    def __init__(self, seed: int, nodes: int) -> None:
        self.rng = Random(seed)
        self.cluster = SmallCluster()
        self.loss = 0.1
        self.agents: dict[str, SimAgent] = {}
        self._serial = count()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        for store in (self.cluster.store, self.cluster.follower):
            store.watch(lambda commit, store=store: self._tell(commit, store is self.cluster.store))
        for number in range(nodes):
            self.add_node(f"node-{number}")

    @property
    def now(self) -> int:
        return self.cluster.now

    def after(self, delay: int, act: Callable[[], None]) -> None:
        heappush(self._events, (self.now + delay, next(self._serial), act))

    def run(self, seconds: float) -> None:
        end = self.now + int(seconds * SECOND)
        self.cluster.settle()
        while self._events and self._events[0][0] <= end:
            time, _, act = heappop(self._events)
            self.cluster.wait((time - self.now) / SECOND) if time > self.now else None
            act()
            self.cluster.settle()
        if end > self.now:
            self.cluster.wait((end - self.now) / SECOND)

    def latency(self) -> int:
        """Of one message, with what it takes to send it again if it is lost."""
        delay = self.rng.randrange(1, 200) * MILLISECOND
        while self.rng.random() < self.loss:
            delay += SECOND
        return delay

    def add_node(self, node_id: str) -> None:
        self.cluster.put_node(make_node(node_id, cpus=8))
        self.agents[node_id] = SimAgent(self, node_id)

    def containers(self) -> Counter[tuple[str, int | str]]:
        """How many copies of each slot really run, whatever the managers believe."""
        found: Counter[tuple[str, int | str]] = Counter()
        for agent in self.agents.values():
            for task in agent.running.values():
                found[task.service_id, task.slot or task.node_id] += 1
        return found

    def _tell(self, commit: Commit, leads: bool) -> None:
        if not leads:
            return
        for event in commit.events:
            if isinstance(event.object, Task) and event.object.node_id in self.agents:
                self.agents[event.object.node_id].hear()


class SimAgent:
    """One node: its connection, and its containers."""

    def __init__(self, simulation: Simulation, node_id: str) -> None:
        self.id = node_id
        self.connected = True
        self.running: dict[str, Task] = {}
        """Containers that really run."""
        self._sim = simulation
        self._states: dict[str, TaskState] = {}
        """What it has reported, or will."""
        self._heard_at = 0
        self._reported_at = 0
        self._telling = False

    # -- the connection

    def hear(self) -> None:
        """Assignments are on their way; what changes before they leave goes with them."""
        if self.connected and not self._telling:
            self._telling = True
            self._sim.after(0, self._send)

    def cut(self, containers_die: bool) -> None:
        """The network is gone, or the whole machine."""
        self.connected = False
        if containers_die:
            for task_id in list(self.running):
                self.running.pop(task_id)
                self._states[task_id] = TaskState.FAILED
        self._sim.after(MISSED_HEARTBEATS, self._missed)

    def mend(self) -> None:
        self.connected = True
        self._set_state(NodeState.READY)
        for task_id, state in list(self._states.items()):
            self._report(task_id, state)
        self.hear()

    def _missed(self) -> None:
        if not self.connected:
            self._set_state(NodeState.DOWN)

    def _set_state(self, state: NodeState) -> None:
        node = self._sim.cluster.store.node(self.id)
        if node is not None and node.status.state is not state:
            self._sim.cluster.put_node(replace(node, status=replace(node.status, state=state)))

    def _send(self) -> None:
        self._telling = False
        assigned = [
            task for task in self._sim.cluster.store.tasks_of_node(self.id) if task.status.state >= TaskState.ASSIGNED
        ]
        self._heard_at = max(self._heard_at, self._sim.now + self._sim.latency())
        self._sim.after(self._heard_at - self._sim.now, lambda: self._assign(assigned))

    # -- what it does

    def _assign(self, tasks: list[Task]) -> None:
        if not self.connected:
            return
        known = {task.id for task in tasks}
        for task_id in [task_id for task_id in self._states if task_id not in known]:
            self.running.pop(task_id, None)
            del self._states[task_id]
        for task in tasks:
            state = self._states.setdefault(task.id, max(task.status.state, TaskState.ASSIGNED))
            if state > TaskState.RUNNING:
                continue
            if task.desired_state >= TaskState.SHUTDOWN:
                self._later(task, TaskState.SHUTDOWN, most=3 * SECOND)
            elif state < TaskState.READY:
                self._later(task, TaskState.READY, most=2 * SECOND, then=lambda: self.hear())
            elif task.desired_state is TaskState.RUNNING and state is TaskState.READY:
                self._later(task, TaskState.RUNNING, most=SECOND)

    def _later(self, task: Task, state: TaskState, most: int, then: Callable[[], None] = lambda: None) -> None:
        """The engine takes its time; a machine that dies meanwhile takes it all with it."""

        def done() -> None:
            before = self._states.get(task.id)
            if before is None or before >= state:
                return
            if state is TaskState.RUNNING:
                self.running[task.id] = task
            elif state > TaskState.RUNNING:
                self.running.pop(task.id, None)
            self._become(task.id, state)
            then()

        self._sim.after(self._sim.rng.randrange(most), done)

    def exit(self, task_id: str, state: TaskState) -> None:
        """A container ends by itself."""
        if self.running.pop(task_id, None) is not None:
            self._become(task_id, state)

    def _become(self, task_id: str, state: TaskState) -> None:
        self._states[task_id] = state
        if self.connected:
            self._report(task_id, state)

    def _report(self, task_id: str, state: TaskState) -> None:
        self._reported_at = max(self._reported_at, self._sim.now + self._sim.latency())

        def arrive() -> None:
            if self.connected:
                self._sim.cluster.report(task_id, state)

        self._sim.after(self._reported_at - self._sim.now, arrive)
