"""Many seeds on all cores, so that an interrupted run goes on: `scripts/test --fuzz [FROM-TO]`.

One line per seed that is done lies in the progress file; seeds that are there are not run again.
"""

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import traceback
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import structlog

from tests.support.raft_sim.faults import KINDS
from tests.support.raft_sim.fuzz import ENOUGH_SEEDS, RULES, run_seed

FOLDER = Path("build/raft-fuzz")
_QUIET = logging.CRITICAL
_REPORT_EVERY = 100
Result = dict[str, Any]


def main(wanted: str) -> int:
    first, _, last = wanted.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{_revision()}.jsonl"
    done = _done(path)
    left = [seed for seed in seeds if seed not in done]
    print(f"seeds {seeds[0]}-{seeds[-1]}: {len(left)} to run; progress is kept in {path}", flush=True)
    with path.open("a") as progress, multiprocessing.Pool(os.cpu_count(), _start) as pool:
        try:
            for number, result in enumerate(pool.imap_unordered(_one, left), 1):
                progress.write(json.dumps(result) + "\n")
                progress.flush()
                done[result["seed"]] = result
                _tell(result, number, len(left))
        except KeyboardInterrupt:
            print("interrupted; the same command goes on")
            return 130
    return _sum_up([done[seed] for seed in seeds])


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_QUIET))


def _one(seed: int) -> Result:
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as folder:
        try:
            run = run_seed(seed, Path(folder))
        except Exception:
            return {"seed": seed, "failure": traceback.format_exc(limit=-3)}
    return {"seed": seed} | vars(run)


def _done(path: Path) -> dict[int, Result]:
    if not path.exists():
        return {}
    results = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {result["seed"]: result for result in results}


def _tell(result: Result, number: int, total: int) -> None:
    if "failure" in result:
        print(f"seed {result['seed']} failed:\n{result['failure']}", flush=True)
    if number % _REPORT_EVERY == 0:
        print(f"{number} of {total}", flush=True)


def _sum_up(results: list[Result]) -> int:
    faults: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    failed = [result["seed"] for result in results if "failure" in result]
    for result in results:
        faults.update(result.get("faults", {}))
        rules.update(result.get("rules", {}))
    events = sum(result.get("events", 0) for result in results)
    acknowledged = sum(result.get("acknowledged", 0) for result in results)
    print(f"{len(results)} seeds, {events} events, {acknowledged} acknowledged writes, {len(failed)} failed")
    print(f"faults {dict(faults)}\nrules {dict(rules)}")
    for seed in failed:
        print(f"failed: RAFT_SEEDS={seed} {sys.executable} -m pytest tests/sim/raft/test_fuzz.py")
    missing = [kind for kind in KINDS if not faults[kind]] + [rule for rule in RULES if not rules[rule]]
    if missing:
        print(f"never came up: {missing}")
    return 1 if failed or (missing and len(results) >= ENOUGH_SEEDS) else 0


def _revision() -> str:
    """A result belongs to the code that gave it."""
    commit, changes = (
        subprocess.run(["git", *asked], capture_output=True, check=False).stdout
        for asked in (["rev-parse", "--short", "HEAD"], ["diff", "HEAD"])
    )
    return commit.decode().strip() + (f"-{zlib.crc32(changes):08x}" if changes else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
