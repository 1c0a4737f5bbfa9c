"""Each rule is broken on purpose, and the property test must see it: an invariant that cannot fail proves nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import manager.orchestrator.global_services as global_services
import manager.orchestrator.reaper as reaper
import manager.orchestrator.replicated as replicated
import manager.orchestrator.restart as restart
import manager.store.store as store
import manager.store.transaction as transaction
from core.model import Task, TaskState
from manager.orchestrator.tasks import successor, want
from manager.scheduler.node_info import NodeInfo
from manager.store import Change, Transaction, decode_entry
from tests.support.cluster_machine import ClusterMachine

Patch = Callable[[pytest.MonkeyPatch], None]
THOROUGH = settings(
    max_examples=400,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def too_few(patch: pytest.MonkeyPatch) -> None:
    """Tasks that have ended are not replaced."""
    patch.setattr(replicated, "restart", lambda tx, service, task, ids, now: want(tx, task, TaskState.SHUTDOWN))


def too_many(patch: pytest.MonkeyPatch) -> None:
    """Scaling down stops nothing."""
    patch.setattr(replicated, "_in_order_of_surrender", lambda filled, slots: iter(()))


def twins(patch: pytest.MonkeyPatch) -> None:
    """A task is replaced whether or not its slot has another already."""

    def replace_task(tx: Transaction, service: Any, task: Task, ids: Any, now: int) -> None:
        want(tx, task, TaskState.SHUTDOWN)
        tx.create(successor(service, task, ids, now))
        tx.create(successor(service, task, ids, now))

    patch.setattr(restart, "replace_task", replace_task)
    patch.setattr(replicated, "replace_task", replace_task)


def stays_on_lost_nodes(patch: pytest.MonkeyPatch) -> None:
    """Nobody leaves a node that is down, drained or gone."""
    patch.setattr(replicated, "must_leave", lambda node: False)
    patch.setattr(global_services, "must_leave", lambda node: False)


def overbooks(patch: pytest.MonkeyPatch) -> None:
    """What a task reserves is not taken off its node."""
    patch.setattr(NodeInfo, "hold", lambda self, task_id, claim: self.claims.__setitem__(task_id, claim))


def goes_back(patch: pytest.MonkeyPatch) -> None:
    """Old news of a task are believed."""
    patch.setattr(transaction, "_check_states", lambda old, new: None)


def keeps_the_dead(patch: pytest.MonkeyPatch) -> None:
    """Tasks of a service that was removed are never told to go."""
    patch.setattr(reaper, "want", lambda tx, task, desired: None)


def never_updates(patch: pytest.MonkeyPatch) -> None:
    """An update leaves every task as it is."""
    patch.setattr("manager.orchestrator.rollout.is_dirty", lambda tx, task, service: False)


def drifts(patch: pytest.MonkeyPatch) -> None:
    """A follower overlooks the last change of a longer entry."""

    def decode(data: bytes, known: Any) -> tuple[list[Change], int]:
        changes, now = decode_entry(data, known)
        return changes[: max(3, len(changes) - 1)], now

    patch.setattr(store, "decode_entry", decode)


@pytest.mark.parametrize(
    ("break_rule", "caught"),
    [
        (too_few, "live tasks"),
        (too_many, "live tasks"),
        (twins, "live tasks"),
        (stays_on_lost_nodes, "lives on a"),
        (overbooks, "overbooked"),
        (goes_back, "went back"),
        (keeps_the_dead, "lost its service"),
        (never_updates, "was not updated"),
        (drifts, "managers disagree"),
    ],
)
def test_a_broken_rule_is_seen(break_rule: Patch, caught: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_rule(monkeypatch)
    with pytest.raises(AssertionError, match=caught):
        run_state_machine_as_test(ClusterMachine, settings=THOROUGH)
