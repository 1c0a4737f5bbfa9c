"""What happens to nodes, engines, containers and managers, by chance."""

from dataclasses import replace
from typing import TypeVar

from core.model import Availability, NodeState
from tests.support.cluster_sim.agent import SimAgent
from tests.support.cluster_sim.users import ZONES
from tests.support.cluster_sim.world import World, described

MOST_NODES = 7
FEWEST_NODES = 3

T = TypeVar("T")


class Troubles:
    ACTS = (
        "cut",
        "power_off",
        "break_engine",
        "kill_container",
        "talk",
        "set_availability",
        "set_label",
        "resize",
        "add_node",
        "remove_node",
        "change_leader",
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng

    def cut(self) -> None:
        if agent := self._pick(self._agents()):
            self._world.cut(agent, self._rng.randrange(1, 30))

    def power_off(self) -> None:
        if agent := self._pick(self._agents()):
            seconds = self._rng.randrange(5, 40)
            self._world.cut(agent, seconds)
            agent.die(seconds)

    def break_engine(self) -> None:
        if agent := self._pick(self._agents()):
            agent.break_engine(self._rng.randrange(1, 30), containers_die=self._rng.random() < 0.5)

    def kill_container(self) -> None:
        agent = self._pick(self._agents())
        task_id = self._pick(sorted(agent.running)) if agent else None
        if agent and task_id:
            agent.exit(task_id, "task: non-zero exit (137)" if self._rng.random() < 0.7 else "")

    def talk(self) -> None:
        """Nothing has happened, but an agent has other words for it."""
        if agent := self._pick(self._agents()):
            for task_id in sorted(agent.held):
                agent.talk(task_id)

    def set_availability(self) -> None:
        if agent := self._pick(self._agents()):
            node = self._world.cluster.node(agent.id)
            spec = replace(node.spec, availability=self._rng.choice(list(Availability)))
            self._world.cluster.put_node(replace(node, spec=spec))

    def set_label(self) -> None:
        if agent := self._pick(self._agents()):
            node = self._world.cluster.node(agent.id)
            spec = replace(node.spec, labels={"zone": self._rng.choice(ZONES)})
            self._world.cluster.put_node(replace(node, spec=spec))

    def resize(self) -> None:
        """Another machine, as it were: a description that changed opens another session."""
        if agent := self._pick(self._agents()):
            agent.description = replace(agent.description, resources=described(self._rng.randrange(2, 9)).resources)
            if agent.connected:
                agent.connect()

    def add_node(self) -> None:
        if len(self._agents()) < MOST_NODES:
            self._world.add_node()

    def remove_node(self) -> None:
        agents = self._agents()
        agent = self._pick(agents)
        if agent and len(agents) > FEWEST_NODES:
            self._world.remove_node(self._world.cluster.node(agent.id))

    def change_leader(self) -> None:
        self._world.change_leader()

    def _agents(self) -> list[SimAgent]:
        return [agent for agent in self._world.agents.values() if self._world.in_cluster(agent)]

    def _pick(self, items: list[T]) -> T | None:
        return self._rng.choice(items) if items else None


def make_peace(world: World) -> None:
    """The network and every machine and engine are well, and there is room."""
    world.peace = True
    for number, agent in enumerate(list(world.agents.values())):
        if not world.in_cluster(agent):
            continue
        node = world.cluster.node(agent.id)
        spec = replace(node.spec, availability=Availability.ACTIVE, labels={"zone": ZONES[number % len(ZONES)]})
        world.cluster.put_node(replace(node, spec=spec))
        agent.description = replace(agent.description, resources=described(100).resources, engine_error="")
        agent.repair()
        agent.connect()
    assert all(node.status.state is NodeState.READY for node in world.cluster.store.nodes())
