"""Each rule is broken on purpose, and the simulation must see it: an invariant that cannot fail proves nothing."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.model import NodeState, ServiceSpec, TaskState, UpdateOrder, UpdateState
from manager.allocator.ports import PortTable
from manager.control import dependencies, services
from manager.dispatcher.dependencies import NodeDependencies
from manager.dispatcher.reports import record_statuses
from manager.orchestrator import (
    global_services,
    jobs,
    reaper,
    rebalance,
    replicated,
    restart,
    rollout,
    starter,
    update,
    versions,
)
from manager.orchestrator.rollout import Rollout
from manager.orchestrator.tasks import successor, want
from manager.scheduler import filters
from manager.scheduler.node_info import NodeInfo
from manager.store import Transaction, decode_entry, store, transaction
from tests.support import small_cluster
from tests.support.cluster_sim.run import run_seed

Patch = Callable[[pytest.MonkeyPatch], None]
MOST_SEEDS = 60


def too_few(patch: pytest.MonkeyPatch) -> None:
    """Tasks that have ended are not replaced."""
    patch.setattr(replicated, "restart", lambda tx, service, task, ids, now: want(tx, task, TaskState.SHUTDOWN))


def too_many(patch: pytest.MonkeyPatch) -> None:
    """Scaling down stops nothing."""
    patch.setattr(replicated, "_in_order_of_surrender", lambda filled, slots: iter(()))


def twins(patch: pytest.MonkeyPatch) -> None:
    """A task is replaced whether or not its slot has another already."""

    def replace_task(tx: Transaction, service: Any, task: Any, ids: Any, now: int) -> None:
        want(tx, task, TaskState.SHUTDOWN)
        tx.create(successor(service, task, ids, now))
        tx.create(successor(service, task, ids, now))

    patch.setattr(restart, "replace_task", replace_task)
    patch.setattr(replicated, "replace_task", replace_task)


def stays_on_lost_nodes(patch: pytest.MonkeyPatch) -> None:
    """Nobody leaves a node that is down, drained or gone."""
    patch.setattr(replicated, "must_leave", lambda node: False)
    patch.setattr(global_services, "must_leave", lambda node: False)


def places_on_drained_nodes(patch: pytest.MonkeyPatch) -> None:
    """Any node that is heard takes tasks."""
    patch.setattr(NodeInfo, "usable", property(lambda self: self.node.status.state is NodeState.READY, _ignored))


def _ignored(info: NodeInfo, value: bool) -> None: ...


def forgets_constraints(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(filters, "matches", lambda constraints, node: True)


def overbooks(patch: pytest.MonkeyPatch) -> None:
    """What a task reserves is not taken off its node."""
    patch.setattr(NodeInfo, "hold", lambda self, task_id, claim: self.claims.__setitem__(task_id, claim))


def shares_host_ports(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(NodeInfo, "host_ports", property(lambda self: {}, _ignored))


def gives_twice(patch: pytest.MonkeyPatch) -> None:
    """The first of a node's named resources is given to everybody."""
    patch.setattr(
        NodeInfo,
        "hand_out",
        lambda self, wanted: tuple(
            next(one for one in self.resources.generic if one.kind == kind) for kind, _ in wanted if kind == "gpu"
        ),
    )


def crowds_nodes(patch: pytest.MonkeyPatch) -> None:
    """The most copies of a service that a node may have are not counted."""
    patch.setattr(NodeInfo, "tasks_of", lambda self, service_id: 0)


def goes_back(patch: pytest.MonkeyPatch) -> None:
    """Old news of a task are believed."""

    def record(tx: Transaction, node_id: str, statuses: Any) -> None:
        for task_id, status in statuses.items():
            if (task := tx.task(task_id)) is not None:
                tx.update(replace(task, status=status))

    patch.setattr(transaction, "_check_states", lambda old, new: None)
    patch.setattr(small_cluster, "record_statuses", record)


def lets_agents_decide(patch: pytest.MonkeyPatch) -> None:
    """An agent that has stopped a task may say that it shall be stopped."""

    def record(tx: Transaction, node_id: str, statuses: Any) -> None:
        record_statuses(tx, node_id, statuses)
        for task_id, status in statuses.items():
            if status.state > TaskState.RUNNING and (task := tx.task(task_id)) is not None:
                want(tx, task, TaskState.SHUTDOWN)

    patch.setattr(small_cluster, "record_statuses", record)


def speaks_for_agents(patch: pytest.MonkeyPatch) -> None:
    """Whoever stops a task says that it has stopped."""

    def stop(tx: Transaction, task: Any, desired: TaskState) -> None:
        want(tx, task, desired)
        current = tx.task(task.id)
        if current is not None and current.status.state <= TaskState.RUNNING:
            tx.update(replace(current, status=replace(current.status, state=TaskState.SHUTDOWN)))

    patch.setattr(update, "want", stop)


def forgets_too_early(patch: pytest.MonkeyPatch) -> None:
    """A task object goes before its agent has said that the task has ended."""
    patch.setattr(reaper, "is_dead", lambda task: True)


def keeps_the_dead(patch: pytest.MonkeyPatch) -> None:
    """Tasks of a service that was removed are never told to go."""
    patch.setattr(reaper, "want", lambda tx, task, desired: None)


def hoards(patch: pytest.MonkeyPatch) -> None:
    """No history is ever trimmed."""
    patch.setattr(reaper.Reaper, "_trim", lambda self, tx, task: None)


def leaks_ports(patch: pytest.MonkeyPatch) -> None:
    """A service that was removed keeps its published ports."""
    patch.setattr(PortTable, "release", lambda self, service_id: False)


def shares_ports(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether a published port is free."""
    patch.setattr(services, "_check_ports", lambda view, service_id, spec: None)
    patch.setattr(PortTable, "_check", lambda self, service_id, ports: None)


def never_updates(patch: pytest.MonkeyPatch) -> None:
    """An update leaves every task as it is."""
    patch.setattr("manager.orchestrator.rollout.is_dirty", lambda tx, task, service: False)


def updates_all_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rollout, "room", lambda self, config: len(self.dirty))


def says_too_early(patch: pytest.MonkeyPatch) -> None:
    """An update is completed once the last new task is made."""
    patch.setattr(Rollout, "done", property(lambda self: not self.dirty))


def says_too_early_that_all_is_back(patch: pytest.MonkeyPatch) -> None:
    """A rollback does not wait for tasks that were there before."""
    patch.setattr(rollout, "state_of", lambda service: UpdateState.UNKNOWN)


def never_says_that_it_is_done(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(update, "finish", lambda tx, service, now: None)


def stops_first(patch: pytest.MonkeyPatch) -> None:
    """Whatever the order, the old task is stopped at once."""
    original = update.UpdateSupervisor._replace

    def replace_task(self: Any, tx: Transaction, service: Any, tasks: Any, config: Any, now: int) -> None:
        original(self, tx, service, tasks, replace(config, order=UpdateOrder.STOP_FIRST), now)

    patch.setattr(update.UpdateSupervisor, "_replace", replace_task)


def overlaps(patch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the old task to stop."""
    patch.setattr(starter, "start_time", lambda view, service, task, now: now)


def moves_all_at_once(patch: pytest.MonkeyPatch) -> None:
    """A rebalance moves as many tasks as it can."""
    original = rebalance.Rebalancer._begin

    def begin(self: Any, tx: Transaction, service: Any, run: Any, wanted: Any, now: int) -> None:
        original(self, tx, service, run, replace(wanted, max_unavailable=100), now)

    patch.setattr(rebalance.Rebalancer, "_begin", begin)


def runs_all_of_a_job(patch: pytest.MonkeyPatch) -> None:
    """A job's tasks run all at once."""
    patch.setattr(ServiceSpec, "concurrency", property(lambda self: 100))


def leaves_jobs_undone(patch: pytest.MonkeyPatch) -> None:
    """No slot of a job is ever begun."""
    patch.setattr(jobs.JobOrchestrator, "_begin", lambda self, tx, service_id, limit, now: None)


def sends_no_data(patch: pytest.MonkeyPatch) -> None:
    """Secrets and configs stay with the managers."""
    patch.setattr(NodeDependencies, "take", lambda self, view: ([], []))


def leaves_data(patch: pytest.MonkeyPatch) -> None:
    """A node keeps the secrets of tasks that have ended."""
    original = NodeDependencies.take
    patch.setattr(NodeDependencies, "take", lambda self, view: (original(self, view)[0], []))


def keeps_old_versions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(versions, "is_used", lambda view, key: True)


def takes_versions_away(patch: pytest.MonkeyPatch) -> None:
    """Tasks that still use an old version of a secret or config are overlooked."""
    patch.setattr(versions, "is_used", lambda view, key: False)


def removes_what_is_used(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks who uses a secret or config that is to be removed."""
    patch.setattr(dependencies, "refers", lambda spec, keys: False)


def drifts(patch: pytest.MonkeyPatch) -> None:
    """A follower overlooks the last change of a longer entry."""

    def decode(data: bytes, known: Any) -> Any:
        changes, *rest = decode_entry(data, known)
        return changes[: max(3, len(changes) - 1)], *rest

    patch.setattr(store, "decode_entry", decode)


@pytest.mark.parametrize(
    ("break_rule", "caught"),
    [
        (too_few, "live tasks instead of"),
        (too_many, "live tasks instead of"),
        (twins, "has 2 live tasks"),
        (stays_on_lost_nodes, "lives on a node that it must leave"),
        (places_on_drained_nodes, "was given to a node that takes none"),
        (forgets_constraints, "lies in another zone"),
        (overbooks, "is overbooked"),
        (shares_host_ports, "gave a host port twice"),
        (gives_twice, "gave a named resource twice"),
        (crowds_nodes, "copies of"),
        (goes_back, "went back"),
        (lets_agents_decide, "an agent wants"),
        (speaks_for_agents, "a manager says"),
        (forgets_too_early, "is forgotten while it is"),
        (keeps_the_dead, "has lost its service"),
        (hoards, "task objects"),
        (leaks_ports, "is NEW: port"),
        (shares_ports, "a port is held twice"),
        (never_updates, "was not updated"),
        (updates_all_at_once, "slots of .* move"),
        (says_too_early, "COMPLETED is said of"),
        (says_too_early_that_all_is_back, "is rolled back, but not"),
        (never_says_that_it_is_done, "has not ended"),
        (stops_first, "was stopped before another started"),
        (overlaps, "slot .* runs"),
        (moves_all_at_once, "spread again at once"),
        (runs_all_of_a_job, "at a time"),
        (leaves_jobs_undone, "completed slots"),
        (sends_no_data, "starts without"),
        (leaves_data, "holds the data"),
        (keeps_old_versions, "old version"),
        (takes_versions_away, "was taken away from"),
        (removes_what_is_used, "asks for what is gone"),
        (drifts, "managers disagree"),
    ],
)
def test_a_broken_rule_is_seen(break_rule: Patch, caught: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_rule(monkeypatch)
    seen = set()
    for seed in range(MOST_SEEDS):
        try:
            run_seed(seed)
        except AssertionError as error:
            seen.add(str(error))
            if re.search(caught, str(error)):
                return
    pytest.fail(f"not seen in {MOST_SEEDS} seeds, only {seen}")
