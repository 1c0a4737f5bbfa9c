"""The holes that the stock engine was shown to have, one scenario each, named by the hole's id.

Each raises Violation where the harm is done.
"""

from collections.abc import Callable
from dataclasses import dataclass

from raft.api import Timing
from tests.support.raft_sim.simulated import LARGE_BATCH
from tests.support.raft_sim.stage import Stage
from tests.support.raft_sim.truth import Violation
from tests.support.raft_sim.world import TIMING

Scenario = Callable[[Stage], None]


@dataclass(frozen=True)
class Part:
    members: int
    batch: int = LARGE_BATCH
    timing: Timing = TIMING


def S1_a_late_answer_to_an_older_leadership_does_not_count(stage: Stage) -> None:
    a, b, c, d, e = stage.members
    stage.elect(a)
    stage.hold(b, a)
    stage.cut(a, c, d, e)
    stage.write_together(a, 1, 2, 3, 4, 5)  # only b takes them, and its answer is on its way for long
    stage.cut(b, c, d, e)
    stage.elect(c)
    stage.connect(c, a, b)
    stage.world.run(2)  # c overwrites them
    stage.cut(c, a, b, d, e)
    stage.connect(a, d, e)
    stage.elect(a)
    stage.cut(a, e)
    stage.cut_one_way(a, b)
    stage.write_together(a, 6, 7, 8)  # a and d hold them: no quorum
    stage.deliver(b, a)
    stage.world.run(0.5)
    a.crash()
    d.crash()
    stage.connect(c, b, e)
    stage.connect(b, e)
    stage.elect(e)
    stage.settle(e)
    stage.judge()


def S2_a_repeated_append_takes_nothing_away(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(c, a, b)
    stage.hold(a, b)
    stage.write(a, 1)
    first = stage.held(a, b)
    stage.deliver(a, b)
    stage.world.run(0.05)
    stage.write(a, 2)
    stage.deliver(a, b, start=first)
    stage.world.run(0.05)  # both are acknowledged
    stage.deliver(a, b, end=first)
    a.crash()
    stage.connect(c, b)
    stage.elect(b)
    stage.settle(b)
    stage.judge()


def S3_a_commit_index_that_comes_beside_a_snapshot_commits_nothing_of_ones_own(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.write(a, 1)
    stage.cut(a, b, c)
    stage.write_together(a, 2, 3, 4)
    stage.elect(b)
    stage.write(b, *range(10, 30))
    stage.compact(b)
    stage.connect(a, b, c)
    stage.trickle(b, a, 5)
    stage.settle(b)
    stage.judge()


def S4_a_repeated_snapshot_rolls_nothing_back(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(c, a, b)
    stage.write(a, *range(20))
    stage.compact(a)
    stage.cut(b, a)
    stage.connect(c, a)
    stage.world.run_until(lambda: c.values == a.values, 10, "the snapshot arrives")
    stage.world.run(1)
    stage.write(a, 20)
    stage.cut(c, a)
    c.repeat_snapshot()
    stage.world.run(2)
    a.crash()
    stage.connect(c, b)
    stage.elect(c)
    stage.settle(c)
    stage.judge()


def S5_a_crash_between_snapshot_and_compaction_loses_nothing(stage: Stage) -> None:
    (a,) = stage.members
    stage.elect(a)
    stage.write(a, *range(10))
    a.fail_in_compaction()
    for value in range(10, 200):
        if a.running:
            a.propose(value)
            stage.world.run(0.02)
    if a.running:
        raise AssertionError("the power did not fail")
    stage.world.crash_in_compaction = 0.0
    stage.settle(a)
    stage.judge()


def S6_members_change_one_at_a_time(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(a, b, c)
    a.add_at_once([11, 12, 13, 14])
    stage.world.run(0.1)
    if a.members_in_force > 4:
        raise Violation(f"{a.members_in_force - 3} changes of the members are under way at once")


def S7_a_failure_while_a_command_is_applied_applies_it_once(stage: Stage) -> None:
    a, b, _ = stage.members
    stage.elect(a)
    a.stumble()
    stage.write(a, 1)
    stage.world.run(1)
    if a.running:
        stage.judge()
        stage.write(a, 1)  # its writer asks again, with the same request id
    stage.settle(b)
    stage.judge()


def L1_who_does_not_hear_the_leader_does_not_depose_it(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    term = a.term
    for member in stage.members:
        member.may_stand = True
    stage.cut(c, a, b)
    stage.world.run(20)
    stage.connect(c, a, b)
    stage.world.run(5)
    stage.cut(c, a)  # and now the others do hear it
    stage.world.run(20)
    if not a.leads or a.term != term:
        raise Violation(f"the leader of term {term} was deposed though a quorum heard it; term {a.term} now")


DEMONSTRATED: dict[Scenario, Part] = {
    S1_a_late_answer_to_an_older_leadership_does_not_count: Part(5),
    S2_a_repeated_append_takes_nothing_away: Part(3),
    S3_a_commit_index_that_comes_beside_a_snapshot_commits_nothing_of_ones_own: Part(3),
    S4_a_repeated_snapshot_rolls_nothing_back: Part(3),
    S5_a_crash_between_snapshot_and_compaction_loses_nothing: Part(1),
    S6_members_change_one_at_a_time: Part(3),
    S7_a_failure_while_a_command_is_applied_applies_it_once: Part(3),
    L1_who_does_not_hear_the_leader_does_not_depose_it: Part(3),
}
