"""The other holes, and what else the rules hold, one scenario each, named by the hole's id; for our members only.

Each raises Violation where the harm is done.
"""

from dataclasses import replace

from core.clock import SECOND
from raft.messages import Append
from raft.storage.errors import DamagedState
from tests.support.raft_sim.demonstrated import Part, Scenario
from tests.support.raft_sim.simulated import SMALL_BATCH
from tests.support.raft_sim.stage import Stage
from tests.support.raft_sim.truth import Violation
from tests.support.raft_sim.world import TIMING

PATIENT = replace(TIMING, check_quorum=60 * SECOND, request=30 * SECOND)
"""So that nothing but what is looked at ends a wait."""


def S5_a_crash_while_a_leaders_snapshot_is_put_in_use_loses_nothing(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(c, a, b)
    stage.write(a, *range(20))
    stage.compact(a)
    stage.world.crash_in_compaction = 1.0
    stage.connect(c, a, b)
    stage.world.run_until(lambda: not c.running, 10, "the snapshot arrives")
    stage.world.crash_in_compaction = 0.0
    stage.settle(a)
    stage.judge()


def S9_a_snapshot_that_was_damaged_is_refused_at_the_start(stage: Stage) -> None:
    (a,) = stage.members
    stage.elect(a)
    stage.write(a, *range(20))
    a.disk.damage_next_snapshot = True
    stage.compact(a)
    a.crash()
    try:
        a.start()
    except DamagedState:
        return
    raise Violation("a member starts with a snapshot that is not whole")


def S8_what_was_acknowledged_outlives_a_loss_of_power(stage: Stage) -> None:
    (a,) = stage.members
    a.disk.loses_power = True
    for turn in range(5):
        stage.settle(a)
        stage.judge()
        stage.write(a, *range(10 * turn, 10 * turn + 5))
        a.crash()
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


def L3_who_waits_for_what_came_with_a_snapshot_is_told(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut_one_way(b, a)
    stage.cut_one_way(c, a)
    stage.write(a, 1)  # it is held by all, and a does not know
    stage.cut(a, b, c)
    stage.elect(b)
    stage.write_together(b, *range(10, 30))
    stage.compact(b)
    stage.connect(a, b, c)
    stage.world.run_until(lambda: a.values == b.values, 10, "the snapshot arrives")
    stage.world.run(0.5)
    if 1 not in stage.world.acked:
        raise Violation("a write was made, and its writer was not told")


def L4_what_the_disk_refused_is_not_acknowledged(stage: Stage) -> None:
    (a,) = stage.members
    a.disk.loses_power = True
    for turn in range(5):
        stage.settle(a)
        a.disk.error_rate = 1.0
        stage.write(a, turn)
        a.crash()
        a.disk.error_rate = 0.0
    stage.settle(a)
    stage.judge()


def L5_who_is_behind_is_gone_back_for_once(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(c, a, b)
    stage.write(a, 0)
    stage.slow(a, c, 0.6)
    stage.connect(c, a, b)
    before = stage.world.sent[a.id, c.id]
    for value in range(1, 301):
        a.propose(value)
        stage.world.run(0.005)
    stage.world.run_until(lambda: c.values == a.values, 60, "it catches up")
    sent = stage.world.sent[a.id, c.id] - before
    if sent > 400:
        raise Violation(f"300 entries took {sent} messages: resends snowball")


def S3_an_append_commits_only_what_it_vouches_for(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.write(a, 1)
    agreed = a.thread.engine._peers.last_index
    stage.cut(a, b, c)
    stage.write_together(a, 2, 3)
    stage.elect(b)
    stage.write(b, *range(10, 20))
    late = Append(b.term, agreed, a.term, b.thread.engine._peers.committed, ())
    stage.connect(a, b)
    b.send(a.id, late)  # as one that was on its way for long
    stage.world.run(0.02)
    stage.settle(b)
    stage.judge()


def L1_nobody_votes_right_after_a_restart(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.cut(c, a)
    stage.world.run(2)
    stage.cut(a, b)  # its lease has just been renewed
    b.crash()
    b.start()
    for member in stage.members:
        member.look()
    c.may_stand = True
    c.stand(at_once=True)
    stage.world.run(0.1)
    if c.leads and a.holds_lease:
        raise Violation("another one leads while the leader may still answer reads by itself")
    stage.settle(c)


def L1_who_hands_over_answers_no_reads_by_itself(stage: Stage) -> None:
    a, b, c = stage.members
    stage.elect(a)
    stage.write(a, 1)
    a.hand_over()
    stage.world.run(0.001)
    stage.cut_one_way(b, a)
    stage.cut_one_way(c, a)
    stage.world.run(0.1)
    if not (b.leads or c.leads):
        raise AssertionError("it was not handed over")
    if a.holds_lease:
        raise Violation("the old leader may still answer reads by itself")


OTHERS: dict[Scenario, Part] = {
    S3_an_append_commits_only_what_it_vouches_for: Part(3),
    S5_a_crash_while_a_leaders_snapshot_is_put_in_use_loses_nothing: Part(3),
    S8_what_was_acknowledged_outlives_a_loss_of_power: Part(1),
    S9_a_snapshot_that_cannot_be_read_stops_the_member: Part(3),
    S9_a_snapshot_that_was_damaged_is_refused_at_the_start: Part(1),
    S10_after_a_restart_the_members_are_those_of_the_log_applied_or_not: Part(3),
    S11_a_vote_that_comes_twice_counts_once: Part(5),
    L1_a_leader_that_no_quorum_answers_steps_down: Part(3),
    L1_nobody_votes_right_after_a_restart: Part(3),
    L1_who_hands_over_answers_no_reads_by_itself: Part(3),
    L2_a_leader_whose_time_is_over_is_told: Part(3),
    L3_who_waits_for_what_came_with_a_snapshot_is_told: Part(3, timing=PATIENT),
    L4_what_the_disk_refused_is_not_acknowledged: Part(1),
    L5_who_is_behind_is_gone_back_for_once: Part(3, SMALL_BATCH),
}
