"""What the command loads. A command that answers at once imports no library of the daemon's."""

import subprocess
import sys

import pytest

from pyswarm.cli.main import COMMANDS
from pyswarm.cli.node import node
from pyswarm.cli.raft import raft
from pyswarm.cli.service import service
from pyswarm.cli.swarm import swarm
from pyswarm.cli.system import system

_HEAVY = """
    aiodocker aiohttp asyncio cryptography google.protobuf grpc manager multiprocessing prometheus_client psutil
    pysyncobj raft rich structlog uvloop worker
"""
HEAVY = frozenset(_HEAVY.split())
NOT_FOR_HELP = HEAVY | {"http.client", "importlib.metadata", "ssl"}
_PROGRAM = """
import sys
from pyswarm.cli.main import main
sys.argv = ["pyswarm", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    print("exit", end.code)
print(*sys.modules)
"""


def loaded_by(*arguments: str) -> tuple[str, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=True, env={"PATH": ""}
    )
    *shown, modules = done.stdout.splitlines()
    return "\n".join(shown), set(modules.split())


def test_help_loads_next_to_nothing():
    shown, modules = loaded_by("--help")
    assert shown.endswith("exit 0")
    assert modules.isdisjoint(NOT_FOR_HELP)
    for name in COMMANDS:
        assert name in shown


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"swarm", "node", "raft", "service", "system"}))
def test_every_command_has_help(name):
    shown, modules = loaded_by(name, "--help")
    assert shown.splitlines()[0].split()[:3] == ["Usage:", "pyswarm", name]
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize("group", [node, raft, service, swarm, system], ids=lambda group: group.name)
def test_a_bare_noun_prints_its_help_and_every_verb_has_its_own(group):
    shown, modules = loaded_by(group.name)
    assert shown.startswith(f"Usage: pyswarm {group.name} [OPTIONS] COMMAND [ARGS]...")
    assert shown.endswith("exit 0")
    assert modules.isdisjoint(HEAVY)
    for verb in group.list_commands(None):
        assert verb in shown
        helped, modules = loaded_by(group.name, verb, "--help")
        assert helped.splitlines()[0].split()[:4] == ["Usage:", "pyswarm", group.name, verb]
        assert modules.isdisjoint(HEAVY)


def test_a_call_of_the_daemon_loads_nothing_heavy_either():
    shown, modules = loaded_by("-H", "unix:///nowhere/none.sock", "service", "ls")
    assert shown == "exit 1"
    assert modules.isdisjoint(HEAVY)


def test_output_that_cannot_be_written_is_said_in_a_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "pyswarm", "--version"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"[Errno 28] No space left on device\n"
