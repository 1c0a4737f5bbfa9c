"""Whole clusters in simulated time: two minutes of trouble, then peace, in which everything must come right."""

from dataclasses import replace
from random import Random

import pytest

from core.clock import SECOND
from core.model import Availability, RestartPolicy, ServiceMode, TaskState, UpdateConfig, UpdateOrder
from tests.support.invariants import Invariants
from tests.support.sim_cluster import Simulation
from tests.support.small_cluster import spec

SEEDS = range(20)
NODES = 5
TROUBLE = 120
PEACE = 180
"""Seconds."""


class Trouble:
    """What users, machines and managers do, once in a while."""

    def __init__(self, simulation: Simulation) -> None:
        self.sim, self.rng = simulation, simulation.rng
        self.ended = False
        self._made = 0
        for act, seconds in (
            (self.deploy, 12),
            (self.change_service, 7),
            (self.remove_service, 60),
            (self.crash, 20),
            (self.set_availability, 20),
            (self.exit, 2),
            (self.change_leader, 15),
        ):
            self._every(seconds, act)

    def _every(self, seconds: int, act) -> None:  # type: ignore[no-untyped-def]
        def again() -> None:
            if not self.ended:
                act()
                self.sim.after(int(self.rng.expovariate(1 / seconds) * SECOND), again)

        self.sim.after(int(self.rng.expovariate(1 / seconds) * SECOND), again)

    def deploy(self) -> None:
        self._made += 1
        restart = RestartPolicy(delay=self.rng.choice([0, 1, 5]) * SECOND)
        wanted = spec(
            self.rng.randrange(6),
            name=f"s{self._made}",
            mode=self.rng.choice((ServiceMode.REPLICATED, ServiceMode.GLOBAL)),
            restart=restart,
        )
        config = UpdateConfig(
            self.rng.randrange(3), self.rng.choice([0, SECOND]), order=UpdateOrder(self.rng.randrange(2))
        )
        self.sim.cluster.create(replace(wanted, update=config))

    def change_service(self) -> None:
        service = self._pick(self.sim.cluster.store.services())
        if service is None:
            return
        old = service.spec
        new = replace(old, task=replace(old.task, force_update=service.spec_version))
        if self.rng.random() < 0.5:
            new = replace(old, replicas=self.rng.randrange(8))
        self.sim.cluster.update(service.id, new)

    def remove_service(self) -> None:
        service = self._pick(self.sim.cluster.store.services())
        if service is not None:
            self.sim.cluster.remove_service(service.id)

    def crash(self) -> None:
        agent = self._pick(self.sim.agents.values())
        if agent.connected:
            agent.cut(containers_die=self.rng.random() < 0.5)
            self.sim.after(self.rng.randrange(1, 20) * SECOND, agent.mend)

    def set_availability(self) -> None:
        node = self._pick(self.sim.cluster.store.nodes())
        spec = replace(node.spec, availability=self.rng.choice(list(Availability)))
        self.sim.cluster.put_node(replace(node, spec=spec))

    def exit(self) -> None:
        agent = self._pick(self.sim.agents.values())
        task = self._pick(agent.running.values())
        if task is not None:
            agent.exit(task.id, self.rng.choice([TaskState.COMPLETE, TaskState.FAILED]))

    def change_leader(self) -> None:
        self.sim.cluster.change_leader()

    def end(self) -> None:
        self.ended = True
        for node in list(self.sim.cluster.store.nodes()):
            self.sim.cluster.put_node(replace(node, spec=replace(node.spec, availability=Availability.ACTIVE)))

    def _pick(self, items):  # type: ignore[no-untyped-def]
        found = sorted(items, key=lambda item: item.id)
        return self.rng.choice(found) if found else None


@pytest.mark.parametrize("seed", SEEDS)
def test_after_trouble_every_service_is_as_it_was_asked_for(seed: int) -> None:
    print(f"seed {seed}")
    simulation = Simulation(seed, NODES)
    holds = Invariants(simulation.cluster)
    trouble = Trouble(simulation)
    for _ in range(TROUBLE):
        simulation.run(1)
        holds.check()
    trouble.end()
    simulation.run(PEACE)
    holds.check()
    holds.replicas_are_there()
    live = {(task.service_id, task.slot or task.node_id) for task in simulation.cluster.store.tasks() if _lives(task)}
    assert simulation.containers() == dict.fromkeys(live, 1), "what runs is what shall run"


def _lives(task) -> bool:  # type: ignore[no-untyped-def]
    return task.desired_state is TaskState.RUNNING and task.status.state is TaskState.RUNNING


@pytest.mark.parametrize("seed", range(5))
def test_two_copies_of_a_slot_never_overlap_while_nodes_can_be_heard(seed: int) -> None:
    """Whatever is updated, scaled, drained or led anew: only a node that is cut off may hold a second copy."""
    print(f"seed {seed}")
    simulation = Simulation(seed, 3)
    rng = Random(seed)
    service = simulation.cluster.create(spec(4, restart=RestartPolicy(delay=0)))
    for step in range(60):
        simulation.run(1)
        simulation.cluster.settle()
        assert all(copies == 1 for copies in simulation.containers().values())
        if step % 4 == 0:
            now = simulation.cluster.service(service.id)
            task = replace(now.spec.task, force_update=step)
            simulation.cluster.update(service.id, replace(now.spec, task=task, replicas=rng.randrange(3, 6)))
        if step % 7 == 0:
            node = simulation.cluster.node(f"node-{rng.randrange(3)}")
            spec_ = replace(node.spec, availability=rng.choice([Availability.ACTIVE, Availability.DRAIN]))
            simulation.cluster.put_node(replace(node, spec=spec_))
        if step % 9 == 0:
            simulation.cluster.change_leader()
