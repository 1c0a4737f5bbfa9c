"""What containers do, by the name of their image."""

from random import Random

from core.clock import SECOND

GOOD = ("web:1", "web:2", "web:3")
SLOW = "slow:1"
"""Takes long to pull."""
MISSING = "missing:1"
"""Cannot be pulled."""
CRASHING = "crashing:1"
"""Ends soon after it has started."""
SICK = "sick:1"
"""Never becomes healthy."""
AILING = "ailing:1"
"""Turns unhealthy once it runs."""
BAD = (MISSING, CRASHING, SICK, AILING)
FLAKY_JOBS = 0.2
"""How many of a job's containers fail."""


def pull_time(rng: Random, image: str) -> int:
    return rng.randrange(5, 40) * SECOND if image == SLOW else rng.randrange(2 * SECOND)


def start_time(rng: Random, image: str) -> int:
    """Until it is healthy, or known not to be."""
    return rng.randrange(1, 10) * SECOND if image == SICK else rng.randrange(SECOND)


def life_time(rng: Random, image: str, of_job: bool) -> int | None:
    """How long it runs by itself (ns), None for ever."""
    if of_job:
        return rng.randrange(20 * SECOND)
    if image == CRASHING:
        return rng.randrange(8 * SECOND)
    return rng.randrange(60 * SECOND) if image == AILING else None
