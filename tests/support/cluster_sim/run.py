"""One seed, from its beginning to its end: trouble, then peace, in which everything must come right by itself."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from core.clock import SECOND
from tests.support.cluster_sim.log_rules import LogRules
from tests.support.cluster_sim.state_rules import StateRules
from tests.support.cluster_sim.troubles import Troubles, make_peace
from tests.support.cluster_sim.users import Users
from tests.support.cluster_sim.world import World

TROUBLE = 120
PEACE = 400
"""Seconds."""
PAUSE = 1.5
"""Between two things that are done, on average."""


ACTS = (*Users.ACTS, *Troubles.ACTS)
_CHANCES = (*ACTS, "deploy", "rebalance")
"""Something must be there for the others to act on; and few services lie so that a rebalance has something to do."""


@dataclass
class Run:
    acts: Counter[str] = field(default_factory=Counter)
    entries: int = 0


class Play:
    """A world, and who acts in it. Every rule is checked after each act; AssertionError where one is broken."""

    def __init__(self, rng: Random, nodes: int, history: int) -> None:
        self.world = World(rng, nodes, history)
        self.log, self.state = LogRules(self.world.cluster), StateRules(self.world)
        self.users, self._troubles = Users(self.world.cluster, rng), Troubles(self.world)

    def act(self, name: str) -> None:
        getattr(self.users if name in Users.ACTS else self._troubles, name)()
        self.world.cluster.settle()
        self.state.check()

    def run(self, seconds: float) -> None:
        self.world.run(seconds)
        self.state.check()

    def come_right(self) -> None:
        """Peace, in which nobody does anything but mend what cannot come right; in the end everything is removed."""
        make_peace(self.world)
        self.run(20)  # what has failed already may yet end an update
        store = self.world.cluster.store
        for service in sorted(store.services(), key=lambda service: service.id):
            if self.state.cannot_come_right(service):
                self.users.mend(service)
        for _ in range(PEACE // 20):
            self.run(20)
        self.state.all_is_as_asked()
        self._remove_all()
        self.users.ask_for_all_ports()
        self.run(20)
        self.state.all_is_as_asked()
        self._remove_all()
        assert not list(store.tasks()), "task objects are left over"
        data = (*store.secrets(), *store.configs())
        assert not [item.id for item in data if item.superseded_by], "an old version of a secret or config is left over"
        self.state.all_is_as_asked()

    def _remove_all(self) -> None:
        for service in list(self.world.cluster.store.services()):
            self.world.cluster.remove_service(service.id)
        self.run(60)


def run_seed(seed: int) -> Run:
    rng = Random(seed)
    play, run = Play(rng, nodes=rng.randrange(3, 6), history=rng.choice([0, 1, 2, 5])), Run()
    end = play.world.now + TROUBLE * SECOND
    while play.world.now < end:
        act = rng.choice(_CHANCES)
        play.act(act)
        run.acts[act] += 1
        play.run(rng.expovariate(1 / PAUSE))
    play.come_right()
    run.entries = play.log.entries
    return run
