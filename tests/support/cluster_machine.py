"""A cluster under all that users, nodes and managers do to it, in any order: hypothesis finds the smallest failure."""

from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.support.cluster_sim.run import ACTS, Play

chances = st.integers(0, 1_000)


class ClusterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._rng = Random(0)
        self._play = Play(self._rng, nodes=2, history=2)

    @rule(act=st.sampled_from(ACTS), chance=chances)
    def somebody_acts(self, act: str, chance: int) -> None:
        self._rng.seed(chance)
        self._play.act(act)

    @rule(seconds=st.sampled_from([0.1, 1, 5, 30]), chance=chances)
    def time_passes(self, seconds: float, chance: int) -> None:
        self._rng.seed(chance)
        self._play.run(seconds)

    def teardown(self) -> None:
        self._play.come_right()
