"""Whole clusters in simulated time: two minutes of trouble, then peace, in which everything must come right.

`CLUSTER_SEEDS=17,18` or `CLUSTER_SEEDS=0-999` picks the seeds; each failure names its own.
"""

import os
from collections import Counter

import pytest

from tests.support.cluster_sim.run import ACTS, run_seed

DEFAULT_SEEDS = "0-99"
ENOUGH_SEEDS = 50
DONE: Counter[str] = Counter()


def seeds() -> list[int]:
    found: list[int] = []
    for part in os.environ.get("CLUSTER_SEEDS", DEFAULT_SEEDS).split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize("seed", seeds())
def test_every_promise_is_kept_and_in_peace_all_is_as_it_was_asked_for(seed: int) -> None:
    print(f"to repeat: CLUSTER_SEEDS={seed} pytest {__file__}")
    run = run_seed(seed)
    DONE.update(run.acts)
    print(f"{run.acts.total()} things done, {run.entries} entries of the log")


def test_a_seed_repeats() -> None:
    assert run_seed(3) == run_seed(3)


if len(seeds()) >= ENOUGH_SEEDS:

    def test_everything_that_can_be_done_was_done() -> None:
        """Over all the seeds before: a simulation that never does a thing proves nothing about it."""
        print(dict(DONE))
        assert [act for act in ACTS if not DONE[act]] == []
