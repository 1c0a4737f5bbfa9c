"""What the ingress relay costs: `python -m benchmarks.relay [--seconds N]` prints JSON.

Every way to the same server in the same run: directly (the floor), through HAProxy where it is installed (the peer:
one process in plain TCP, or two with mutual TLS between them), through one relay to a task of its own node, and through
two relays to a task of another node. CPU is that of the proxies alone; the clients and the server share the machine.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.proxies import haproxy_pair, haproxy_plain, relay_pair
from benchmarks.traffic import Address, bulk, bulk_meanwhile, server, short_requests
from core import logs

AT_ONCE = 32
TICKS = os.sysconf("SC_CLK_TCK")


def measure(address: Address, processes: Sequence[int], seconds: float) -> dict[str, Any]:
    """Figures for what answers at `address` and is carried by `processes`."""
    short_requests(address, 0.5, AT_ONCE)
    before = _cpu(processes)
    short = short_requests(address, seconds, AT_ONCE)
    cpu = _cpu(processes) - before
    before = _cpu(processes)
    rate = bulk(address, seconds)
    bulk_cpu = _cpu(processes) - before
    with bulk_meanwhile(address):
        beside = short_requests(address, seconds, 4)
    return {
        "new_connections_per_s": round(short.rate),
        "failed": short.failed + beside.failed,
        "p50_ms": round(short.percentile(50), 2),
        "p99_ms": round(short.percentile(99), 2),
        "proxy_cpu_us_per_connection": round(cpu * 1e6 / max(1, len(short.latencies)), 1),
        "bulk_mb_per_s": round(rate / 1e6),
        "proxy_cpu_s_per_gb": round(bulk_cpu / (rate * seconds / 1e9), 2),
        "beside_bulk_p50_ms": round(beside.percentile(50), 2),
        "beside_bulk_p99_ms": round(beside.percentile(99), 2),
        "proxy_pss_mb": [round(_pss(pid), 1) for pid in processes],
    }


def ratio(figures: dict[str, Any], floor: dict[str, Any]) -> dict[str, float]:
    names = ("new_connections_per_s", "bulk_mb_per_s", "beside_bulk_p99_ms")
    return {name: round(figures[name] / floor[name], 2) for name in names}


async def run(seconds: float) -> dict[str, Any]:
    results: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="relay-benchmark-"))

    async def take(name: str, address: Address, processes: Sequence[int]) -> None:
        results[name] = await asyncio.to_thread(measure, address, processes, seconds)

    try:
        with server() as target:
            await take("direct", target, ())
            if shutil.which("haproxy"):
                with haproxy_plain(folder, target) as (address, processes):
                    await take("haproxy, one hop", address, processes)
                with haproxy_pair(folder, target) as (address, processes):
                    await take("haproxy, node to node, mutual TLS", address, processes)
            async with relay_pair(folder, target) as (own, other, processes):
                await take("relay, one hop", own, processes[:1])
                await take("relay, node to node, mutual TLS", other, processes)
    finally:
        shutil.rmtree(folder)
    for name, figures in results.items():
        if name != "direct":
            figures["ratio_to_direct"] = ratio(figures, results["direct"])
    return results


def _cpu(processes: Sequence[int]) -> float:
    """Seconds these processes have used."""
    total = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def _pss(pid: int) -> float:
    """Megabytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="per figure (default: %(default)s)")
    seconds = parser.parse_args().seconds
    logs.configure(level="warning")
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    report = {"benchmark": "relay", "date": time.strftime("%Y-%m-%d"), "machine": machine}
    json.dump({**report, "results": asyncio.run(run(seconds))}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
