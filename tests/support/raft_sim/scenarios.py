"""The holes of the engine, one scenario each, named by the hole's id. Each raises Violation where the harm is done.

Those of DEMONSTRATED run on the stock engine too, and do their harm there.
"""

from collections.abc import Callable

from raft.storage.errors import DamagedState
from tests.support.raft_sim.stage import Stage
from tests.support.raft_sim.truth import Violation

Scenario = Callable[[Stage], None]


def S1_a_late_answer_to_an_older_leadership_does_not_count(stage: Stage) -> None:
    a, b, c, d, e = stage.members
    stage.elect(a)
    stage.hold(b, a)
    stage.cut(a, c, d, e)
    stage.write(a, 1, 2, 3, 4, 5)  # only b takes them, and its answers are on their way for long
    stage.cut(b, c, d, e)
    stage.elect(c)
    stage.connect(c, a, b)
    stage.world.run(2)  # c overwrites them
    stage.cut(c, a, b, d, e)
    stage.connect(a, d, e)
    stage.elect(a)
    stage.cut(a, e)
    stage.cut_one_way(a, b)
    stage.write(a, 6)  # a and d hold it: no quorum
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
    stage.write(a, 2)
    stage.deliver(a, b)
    stage.world.run(0.05)  # both are acknowledged
    stage.deliver(a, b, first)
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
    stage.write(a, 2, 3, 4)
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


def S8_what_was_acknowledged_outlives_a_loss_of_power_everywhere(stage: Stage) -> None:
    a = stage.members[0]
    for turn in range(5):
        stage.elect(a)
        stage.write(a, *range(10 * turn, 10 * turn + 5))
        for member in stage.members:
            member.crash()
        for member in stage.members:
            member.start()
    stage.settle(a)
    stage.judge()


def S9_a_snapshot_that_cannot_be_read_stops_the_member(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(c, a, b)
    stage.write(a, *range(20))
    stage.compact(a)
    c.disk.damage_next_snapshot = True
    stage.connect(c, a, b)
    stage.world.run(10)
    if c.running or not any(isinstance(reason, DamagedState) for reason in stage.world.stopped):
        raise Violation("a member goes on with a snapshot that it could not read")


def S10_after_a_restart_the_members_are_those_of_the_log_applied_or_not(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(a, b, c)
    a.add_at_once([11])
    stage.world.run(0.1)
    a.crash()
    a.start()
    if a.members_in_force != 4:
        raise Violation("a change that is in the log does not count after a restart")
    stage.settle(b)
    if a.members_in_force != 3:
        raise Violation("a change that was overwritten counts")


def S11_a_vote_that_comes_twice_counts_once(stage: Stage) -> None:
    a, b, c, d, e = stage.members
    stage.elect(a)
    stage.cut(b, a, c, d)
    stage.cut(e, a, c, d)
    b.may_stand = True
    stage.world.run(2)
    stage.world.doubling = 1.0
    b.stand(at_once=True)
    stage.world.run(0.5)
    if b.leads:
        raise Violation("two of five made a leader")


def L1_a_leader_that_no_quorum_answers_steps_down(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut_one_way(b, a)
    stage.cut_one_way(c, a)
    stage.world.run(stage.timing.check_quorum / 1e9 + 0.5)
    if a.leads:
        raise Violation("a leader that hears nobody goes on")
    stage.settle(b)


def L2_a_leader_whose_time_is_over_is_told(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(a, b, c)
    stage.elect(b)
    stage.connect(a, c)  # it does not hear its successor, and speaks to one who does
    stage.world.run(0.5)
    if a.leads:
        raise Violation("a leader of an older term is not told")


def L4_what_the_disk_refused_is_not_acknowledged(stage: Stage) -> None:
    (a,) = stage.members
    for turn in range(5):
        stage.settle(a)
        a.disk.error_rate = 1.0
        stage.write(a, turn)
        a.crash()
        a.disk.error_rate = 0.0
    stage.settle(a)
    stage.judge()


def L5_who_is_far_behind_is_brought_up_to_date_once(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(c, a, b)
    for value in range(80):
        a.propose(value)
    stage.world.run(2)
    stage.world.delay = 0.3
    stage.connect(c, a, b)
    before = stage.world.sent[a.id, c.id]
    stage.world.run_until(lambda: c.values == a.values, 60, "it catches up")
    sent = stage.world.sent[a.id, c.id] - before
    if sent > 400:
        raise Violation(f"80 entries took {sent} messages")


DEMONSTRATED: dict[Scenario, int] = {
    S1_a_late_answer_to_an_older_leadership_does_not_count: 5,
    S2_a_repeated_append_takes_nothing_away: 3,
    S3_a_commit_index_that_comes_beside_a_snapshot_commits_nothing_of_ones_own: 3,
    S4_a_repeated_snapshot_rolls_nothing_back: 3,
    S5_a_crash_between_snapshot_and_compaction_loses_nothing: 1,
    S6_members_change_one_at_a_time: 3,
    S7_a_failure_while_a_command_is_applied_applies_it_once: 3,
    L1_who_does_not_hear_the_leader_does_not_depose_it: 3,
}
"""With how many members."""

OTHERS: dict[Scenario, int] = {
    S8_what_was_acknowledged_outlives_a_loss_of_power_everywhere: 3,
    S9_a_snapshot_that_cannot_be_read_stops_the_member: 3,
    S10_after_a_restart_the_members_are_those_of_the_log_applied_or_not: 3,
    S11_a_vote_that_comes_twice_counts_once: 5,
    L1_a_leader_that_no_quorum_answers_steps_down: 3,
    L2_a_leader_whose_time_is_over_is_told: 3,
    L4_what_the_disk_refused_is_not_acknowledged: 1,
    L5_who_is_far_behind_is_brought_up_to_date_once: 3,
}
