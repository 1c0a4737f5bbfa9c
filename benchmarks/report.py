"""What every benchmark prints."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any


def say(line: str) -> None:
    """Progress, apart from the result."""
    print(line, file=sys.stderr, flush=True)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and extremes, in the unit of `values`."""
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "median": round(statistics.median(ordered), 4),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 4),
        "min": round(ordered[0], 4),
        "max": round(ordered[-1], 4),
    }


def publish(benchmark: str, results: Any) -> None:
    """One JSON object on standard output, with the machine and the time."""
    machine = {"kernel": platform.release(), "python": platform.python_version(), "cpus": _cpus()}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    print(json.dumps({"benchmark": benchmark, "at": now, "machine": machine, "results": results}, indent=2))


def _cpus() -> int:
    return len(os.sched_getaffinity(0))
