"""Our log beside etcd: three processes of each on this machine, driven by the same client, by turns in the same run.

`python -m benchmarks.raft [--dir FOLDER] [--peer etcd|none] [--rounds 5] [--seconds 4] [--kills 20] [--only NAME]...`
prints JSON. Commits are of 1 KiB, synced to the disk of `--dir`, over mutual TLS; etcd comes from Debian's etcd-server.
`ratio` is ours to etcd's.
"""

import argparse
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from benchmarks.raft_etcd import Etcd
from benchmarks.raft_machines import Pairs, Tasks
from benchmarks.raft_measures import Found, catch_up, fail_over, hold, idle, throughput
from benchmarks.raft_member import Ours
from benchmarks.raft_target import Target
from benchmarks.report import publish, say
from core.errors import Unavailable

_ATTEMPTS = 5

Measure = Callable[[Target], Awaitable[Found]]


async def by_turns(targets: Sequence[Target], measure: Measure, rounds: int) -> dict[str, Any]:
    """The median and the largest figure of the rounds for each, and the quotient of the medians."""
    found: dict[str, list[Found]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            found[target.name].append(await _measured(target, measure))
            say(f"  {target.name}: {found[target.name][-1]}")
    results: dict[str, Any] = {}
    for name, each in found.items():
        columns = {key: [figures[key] for figures in each] for key in each[0]}
        medians = {key: round(statistics.median(column), 3) for key, column in columns.items()}
        results[name] = medians | {"max": {key: max(column) for key, column in columns.items()}, "rounds": rounds}
    if len(targets) == 2:
        ours, theirs = (results[target.name] for target in targets)
        results["ratio"] = {key: round(ours[key] / theirs[key], 2) for key in found[targets[0].name][0] if theirs[key]}
    return results


async def _measured(target: Target, measure: Measure) -> Found:
    """Again if the leader changed meanwhile, as it may on a machine that others use."""
    for _ in range(_ATTEMPTS):
        try:
            return await measure(target)
        except Unavailable as error:
            say(f"  {target.name}: again: {error.message}")
            await target.settle()
    raise Unavailable(f"{target.name} keeps changing its leader: this machine is too busy to measure on")


@dataclass(frozen=True)
class Bound:
    where: str
    """Keys of the results, dotted."""
    at_least: float | None = None
    at_most: float | None = None

    def verdict(self, results: Mapping[str, Any]) -> dict[str, Any] | None:
        """None if it was not measured."""
        value: Any = results
        for key in self.where.split("."):
            if not isinstance(value, Mapping) or key not in value:
                return None
            value = value[key]
        met = (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)
        limit = f">= {self.at_least}" if self.at_least is not None else f"<= {self.at_most}"
        return {"what": self.where, "measured": value, "bound": limit, "met": met}


BOUNDS = (
    Bound("one_client.pyswarm.per_s", at_least=400),
    Bound("one_client.pyswarm.p50_ms", at_most=2.6),
    Bound("one_client.ratio.p50_ms", at_most=2.2),
    Bound("many_clients.pyswarm.per_s", at_least=1700),
    Bound("many_clients.ratio.per_s", at_least=0.5),
    Bound("fail_over.pyswarm.s", at_most=1.0),
    Bound("fail_over.pyswarm.max.s", at_most=1.5),
    Bound("catch_up.pyswarm.p99_growth", at_most=3.0),
    *(
        Bound(f"snapshots.{state}.{moment}.{thread}_ms", at_most=50)
        for state in ("pairs", "tasks")
        for moment in ("taking", "sending", "installing")
        for thread in ("loop", "engine")
    ),
)


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    peers: list[Target] = [Etcd(folder / "etcd")] if options.peer == "etcd" else []
    targets: list[Target] = [Ours(folder / "ours"), *peers]
    one, many = (partial(throughput, clients=clients, seconds=options.seconds) for clients in (1, 32))
    parts: dict[str, tuple[Measure, int]] = {
        "idle": (idle, 1),
        "one_client": (one, options.rounds),
        "many_clients": (many, options.rounds),
        "catch_up": (catch_up, 3),
        "fail_over": (fail_over, options.kills),
    }
    results: dict[str, Any] = {}
    try:
        for target in targets:
            await target.form()
        for name, (part, rounds) in parts.items():
            if not options.only or name in options.only:
                say(name)
                results[name] = await by_turns(targets, part, rounds)
    finally:
        for target in targets:
            target.stop()
    if not options.only or "snapshots" in options.only:
        results["snapshots"] = {}
        for name, machine in (("pairs", Pairs), ("tasks", Tasks)):
            say(f"snapshots of {name}")
            results["snapshots"][name] = await hold(folder / name, machine)
            say(f"  {results['snapshots'][name]}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default="/var/tmp", help="a folder on a real disk")
    parser.add_argument("--peer", choices=["etcd", "none"], default="etcd")
    parser.add_argument("--rounds", type=int, default=5, help="of each load")
    parser.add_argument("--seconds", type=float, default=4.0, help="that each load is measured")
    parser.add_argument("--kills", type=int, default=20, help="of a leader")
    parser.add_argument("--only", action="append", help="the name of a result")
    options = parser.parse_args()
    with TemporaryDirectory(dir=options.dir, prefix="raft-") as folder:
        results = uvloop.run(measure(options, Path(folder)))
    verdicts = [verdict for bound in BOUNDS if (verdict := bound.verdict(results)) is not None]
    publish("raft", {"verdicts": verdicts} | results)


if __name__ == "__main__":
    main()
