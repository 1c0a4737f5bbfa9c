"""The demo: five hosts, a cluster, a service on port 8080, and every host asked for it."""

import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from pyswarm.dev.host import Host
from pyswarm.dev.lab import Lab
from pyswarm.dev.shell import LabError

PORT = 8080
REPLICAS = 3
SERVE = "mkdir -p /www && hostname > /www/index.html && exec httpd -f -p 80 -h /www"
_ANSWER_SECONDS = 60.0


def main() -> int:
    lab = Lab()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        lab.down()
        hosts = lab.up(managers=3, workers=2, report=say)
        form_cluster(hosts)
        create_service(hosts[0])
        seen = ask_every_host(hosts)
    except KeyboardInterrupt:
        say("interrupted; taking the hosts down")
        lab.down()
        return 130
    except LabError as error:
        say(f"failed: {error}")
        lab.down()
        return 1
    complete = all(len(answers) == REPLICAS for answers in seen.values())
    for host in hosts:
        answers = ", ".join(f"{task} x{count}" for task, count in sorted(seen[host.name].items())) or "nothing"
        say(f"http://{host.address}:{PORT} ({host.name}) answered with {answers}")
    if not complete:
        say(f"not every host answered with all {REPLICAS} tasks within {_ANSWER_SECONDS:g} s; the hosts are left up")
        return 1
    explain()
    return 0


def say(line: str) -> None:
    print(f"demo: {line}", file=sys.stderr, flush=True)


def form_cluster(hosts: Sequence[Host]) -> None:
    """The first host begins the cluster, the others join it: m as managers, w as workers."""
    first, *others = hosts
    run_shown(first, "pyswarm", "init", "--advertise-addr", first.address)
    for host in others:
        role = "manager" if host.name.startswith("m") else "worker"
        token = first.run("pyswarm", "join-token", "-q", role).stdout
        say(f"{host.name}# pyswarm join --token - {first.address}:2377   (as a {role})")
        host.run("pyswarm", "join", "--token", "-", f"{first.address}:2377", input=token)
    run_shown(first, "pyswarm", "node", "ls")


def create_service(manager: Host) -> None:
    replicas = ("--replicas", str(REPLICAS), "--publish", f"{PORT}:80")
    run_shown(manager, "pyswarm", "service", "create", "--name", "web", *replicas, "busybox", "sh", "-c", SERVE)
    run_shown(manager, "pyswarm", "service", "ps", "web")


def run_shown(host: Host, *command: str) -> None:
    """Runs `command` in the host, on this terminal, so that its progress is seen live."""
    say(f"{host.name}# {shlex.join(command)}")
    status = host.call(*command)
    if status:
        raise LabError(f"{command[0]} {command[1]} ended with {status}; its log is {host.disk / 'log/pyswarm.log'}")


def ask_every_host(hosts: Sequence[Host]) -> dict[str, "Counter[str]"]:
    """What each host's address answered, asked until each has answered with every task, or time is up."""
    seen: dict[str, Counter[str]] = {host.name: Counter() for host in hosts}
    end = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < end and any(len(answers) < REPLICAS for answers in seen.values()):
        for host in hosts:
            if answer := ask(host.address):
                seen[host.name][answer] += 1
    return seen


def ask(address: str) -> str:
    """The name of the task that answers on `address`, empty if none does."""
    connection = HTTPConnection(address, PORT, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode(errors="replace").strip()
    except (OSError, HTTPException):
        time.sleep(0.1)
        return ""
    finally:
        connection.close()


def explain() -> None:
    pyswarm = Path(sys.executable).parent / "pyswarm"
    say("the cluster is up. To explore it:")
    for command in (
        "dev exec m1 pyswarm node ls",
        "dev exec m1 pyswarm service scale web=5",
        "dev poweroff w1   (then: dev exec m1 pyswarm service ps web)",
        "dev exec m2 pyswarm service logs -f web",
    ):
        print(f"    {pyswarm} {command}", file=sys.stderr)
    say("to take it down:")
    print(f"    {pyswarm} dev down", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
