"""Seeded chaos. `RAFT_SEEDS=17,18` or `RAFT_SEEDS=0-299` picks the seeds; each failure names its own."""

import gc
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.support.raft_sim.faults import KINDS
from tests.support.raft_sim.fuzz import ENOUGH_SEEDS, RULES, run_seed

DEFAULT_SEEDS = "0-29"
FAULTS: Counter[str] = Counter()
FIRED: Counter[str] = Counter()


def seeds() -> list[int]:
    found: list[int] = []
    for part in os.environ.get("RAFT_SEEDS", DEFAULT_SEEDS).split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize("seed", seeds())
def test_nothing_acknowledged_is_lost_whatever_happens(seed: int, tmp_path: Path) -> None:
    print(f"to repeat: RAFT_SEEDS={seed} pytest {__file__}")
    run = run_seed(seed, tmp_path)
    FAULTS.update(run.faults)
    FIRED.update(run.rules)
    print(f"{run.events} events in {run.seconds:.0f} simulated seconds, {run.acknowledged} acknowledged writes")


def test_a_seed_repeats_wherever_things_lie_in_memory(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    first = run_seed(15, tmp_path / "first")
    gc.disable()
    try:
        assert run_seed(15, tmp_path / "second") == first
    finally:
        gc.enable()


if len(seeds()) >= ENOUGH_SEEDS:

    def test_every_kind_of_fault_came_up_and_every_rule_had_to_step_in() -> None:
        """Over all the seeds before: a fuzz that never does a thing proves nothing about it."""
        print(f"faults {dict(FAULTS)}, rules {dict(FIRED)}")
        assert [kind for kind in KINDS if not FAULTS[kind]] == []
        assert [rule for rule in RULES if not FIRED[rule]] == []
