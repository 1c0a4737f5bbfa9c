"""Writes that come together share a round: one message to each member, one sync of each disk."""

from pathlib import Path

from tests.support.raft_sim.simulated import simulated
from tests.support.raft_sim.stage import Stage

WRITES = range(30)


def test_what_comes_while_a_round_is_in_flight_goes_together_in_the_next(tmp_path: Path) -> None:
    with simulated(1, tmp_path, 3) as world:
        stage = Stage(world)
        a, b, c = stage.members
        stage.elect(a)
        stage.hold(a, b)
        stage.hold(a, c)
        for value in WRITES:
            a.propose(value)
            world.run(0.001)
        assert 1 <= stage.held(a, b) <= 2  # the first write, and a heartbeat maybe
        before = world.sent[a.id, b.id]
        world.held.clear()
        world.run_until(lambda: b.values == list(WRITES), 5, "all are written")
        assert sorted(world.acked) == list(WRITES)
        assert world.sent[a.id, b.id] - before < len(WRITES) / 2
