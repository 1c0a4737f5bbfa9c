"""Pyswarm and, on the same hosts after it, Docker's own swarm mode, measured alike; and what is asked of them."""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from benchmarks.report import publish, say
from benchmarks.target import DockerSwarm, Pyswarm, Target
from core.errors import PyswarmError
from pyswarm.dev import Lab, LabConfig

CONFIG = LabConfig(name="psbench", root=Path("/var/lib/pyswarm-bench"), subnet=IPv4Network("10.213.79.0/24"))

Measure = Callable[[Target], dict[str, Any]]
Results = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Bound:
    """What a figure must not exceed, or, with `at_least`, not fall below."""

    measure: str
    figure: str
    """The way to it: `ms.median`."""
    limit: float | None = None
    of_docker: float | None = None
    """A multiple of what Docker needed in the same run."""
    at_least: bool = False

    def judge(self, results: Results) -> dict[str, Any]:
        own, docker = (_find(results, self.measure, name, self.figure) for name in ("pyswarm", "docker"))
        limit = self.limit
        if self.of_docker is not None:
            limit = None if docker is None else round(self.of_docker * docker, 4)
        verdict: dict[str, Any] = {"figure": f"{self.measure}.{self.figure}", "pyswarm": own, "docker": docker}
        if own is not None and docker:
            verdict["ratio"] = round(own / docker, 2)
        if own is not None and limit is not None:
            kept = own >= limit if self.at_least else own <= limit
            verdict["verdict"] = f"{'kept' if kept else 'MISSED'}: {'>=' if self.at_least else '<='} {limit:g}"
        else:
            verdict["verdict"] = "unknown: not measured"
        return verdict


def _find(results: Results, measure: str, target: str, figure: str) -> float | None:
    found: Any = results.get(measure, {}).get(target)
    for key in figure.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def compare(benchmark: str, about: str | None, measures: Mapping[str, Measure], bounds: Sequence[Bound] = ()) -> None:
    """The command of a benchmark: prints JSON with every figure of both, and a verdict for each bound."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--peer", choices=["docker", "none"], default="docker")
    parser.add_argument("--only", action="append", choices=list(measures))
    options = parser.parse_args()
    kinds: list[type[Target]] = [Pyswarm] + ([DockerSwarm] if options.peer == "docker" else [])
    results: Results = {}
    for kind in kinds:
        lab = Lab(CONFIG)
        lab.down()
        try:
            lab.up(managers=3, workers=2, report=say)
            target = kind(lab)
            for name in options.only or measures:
                results.setdefault(name, {})[target.name] = _run(target, name, measures[name])
        finally:
            lab.down()
    asked = [bound for bound in bounds if bound.measure in results]
    publish(benchmark, results | ({"verdicts": [bound.judge(results) for bound in asked]} if asked else {}))


def _run(target: Target, name: str, measure: Measure) -> dict[str, Any]:
    say(f"{target.name}: {name}")
    begin = time.monotonic()
    try:
        found = measure(target)
    except (PyswarmError, TimeoutError) as error:
        found = {"failed": str(error)}
    say(f"  {json.dumps(found)}  ({time.monotonic() - begin:.0f} s)")
    return found
