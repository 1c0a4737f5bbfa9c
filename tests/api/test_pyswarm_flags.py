"""Flags and commands of Docker's that are not there yet, and flags that stand in the wrong place."""

import asyncio
import os
import re

import pytest

from pyswarm.cli import absent
from pyswarm.cli.main import cli
from tests.support.docker_cli import DockerCli
from tests.support.pyswarm_cli import COMMAND, PyswarmCli


@pytest.fixture
def pyswarm(session, socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


def ours(*path: str) -> set[str]:
    """The long flags of a command of ours."""
    command = cli
    for name in path:
        command = command.get_command(None, name)
    return {name for param in command.params for name in param.opts if name.startswith("--")}


ALIKE = [
    "service create", "service update", "service ls", "service ps", "service logs", "service inspect", "service scale",
    "service rollback", "service rm", "node ls", "node ps", "node inspect", "node update", "node promote",
    "node demote", "node rm", "swarm init", "swarm join", "swarm leave", "swarm update", "swarm join-token", "swarm ca",
    "swarm unlock", "swarm unlock-key", "secret create", "secret ls", "secret inspect", "secret rm", "config create",
    "config ls", "config inspect", "config rm", "events",
]  # fmt: skip


OURS = {"--memory-swap", "--memory-swappiness", "--dry-run"}
"""Flags that Docker's command has got only since the one that tests run, or not at all."""


@pytest.mark.parametrize("command", ALIKE)
async def test_every_flag_of_dockers_is_there_or_refused_by_name(docker: DockerCli, command):
    helped = (await docker(*command.split(), "--help")).lines
    found = [re.match(r"(?:-\w, )?(--[\w-]+)", line) for line in helped]
    theirs = {match[1] for match in found if match} - {"--help"}
    known = ours(*command.split())
    later = {f"--{name}" for name in absent.FLAGS.get(command.removeprefix("swarm "), ())}
    assert theirs - known - later == set(), "neither there nor refused by name"
    assert known & later == set(), "there by now"
    assert known - theirs <= OURS, "not one of Docker's"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["service", "create", "--isolation=hyperv", "busybox"], "--isolation is not supported by pyswarm yet"),
        (["service", "create", "--network=a", "busybox"], "--network is not supported by pyswarm yet"),
        (["swarm", "init", "--external-ca", "a"], "--external-ca is not supported by pyswarm yet"),
        (["secret", "create", "--driver=vault", "a", "-"], "--driver is not supported by pyswarm yet"),
        (["update", "--autolock=maybe"], 'invalid argument "maybe" for "--autolock" flag'),
        (["init", "--data-path-port", "1"], "--data-path-port is not supported by pyswarm yet"),
        (["service", "ls", "--tty"], "unknown flag: --tty"),
        (["service", "ls", "--quite"], "unknown flag: --quite (did you mean --quiet?)"),
        (
            ["service", "ls", "-H", "unix:///a"],
            "unknown flag: -H (it stands before the command: pyswarm -H unix://PATH",
        ),
        (["service", "--host", "unix:///a", "ls"], "unknown flag: --host (it stands before the command"),
        (["--foo"], "unknown flag: --foo"),
        (["-H"], "flag needs an argument: -H"),
        (["service", "ls", "--quiet=maybe"], 'invalid argument "maybe" for "--quiet" flag: write true or false'),
    ],
)
async def test_a_flag_that_cannot_be_used_is_named_and_the_code_is_dockers(pyswarm, node, arguments, message):
    refused = await pyswarm.run(*arguments)
    assert (refused.exit, refused.stdout) == (125, "")
    assert refused.stderr.startswith(message)
    assert "\n\nUsage:  pyswarm " in refused.stderr
    assert node.asked == []


@pytest.mark.parametrize("arguments", [["stack", "ls"], ["network", "create"]])
async def test_a_command_that_is_not_there_yet_is_refused_by_name(pyswarm, arguments):
    refused = await pyswarm.run(*arguments)
    assert refused.exit == 1
    assert "is not supported by pyswarm yet" in refused.stderr


async def test_the_environment_names_the_socket_and_a_flag_goes_before_it(pyswarm, socket_path):
    elsewhere = {"PYSWARM_HOST": "unix:///nowhere/none.sock"}
    assert (await pyswarm.run("info", environment=elsewhere)).exit == 1
    assert (await pyswarm.run("-H", f"unix://{socket_path}", "info", environment=elsewhere)).exit == 0


@pytest.mark.parametrize("host", ["", "foo", "tcp://1.2.3.4:2375", "ssh://a", "unix://", "unix://relative"])
async def test_a_socket_that_can_not_be_one_is_refused_with_how_to_write_it(pyswarm, host):
    refused = await pyswarm.run("-H", host, "node", "ls")
    assert (refused.exit, refused.stdout) == (1, "")
    assert refused.stderr == f"cannot use host {host!r}: write it like unix:///run/pyswarm/pyswarm.sock\n"


async def complete(pyswarm: PyswarmCli, shell: str, words: str, position: int) -> list[str]:
    asked = {"_PYSWARM_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    if shell == "fish":
        asked["COMP_CWORD"] = words.split(" ")[position]
    result = await pyswarm.run(environment=asked)
    assert result.stderr == ""
    return [line for line in result.stdout.splitlines() if line]


async def test_a_shell_completes_commands_flags_values_and_names(pyswarm, node):
    assert await complete(pyswarm, "bash", "pyswarm ser", 1) == ["plain,service"]
    assert "plain,create" in await complete(pyswarm, "bash", "pyswarm service ", 2)
    assert await complete(pyswarm, "bash", "pyswarm service create --restart-c", 3) == ["plain,--restart-condition"]
    values = await complete(pyswarm, "bash", "pyswarm node update --role ", 4)
    assert values == ["plain,worker", "plain,manager"]
    assert await complete(pyswarm, "bash", "pyswarm service rm ", 3) == []
    await pyswarm("init")
    await node.cluster.run("web")
    await node.cluster.run("api")
    assert await complete(pyswarm, "bash", "pyswarm service rm ", 3) == ["plain,api", "plain,web"]
    assert await complete(pyswarm, "bash", "pyswarm service scale w", 3) == ["plain,web="]
    assert await complete(pyswarm, "bash", "pyswarm node ps ", 3) == ["plain,self", "plain,vm"]
    assert "service" in await complete(pyswarm, "zsh", "pyswarm ser", 1)
    assert any("service" in line for line in await complete(pyswarm, "fish", "pyswarm ser", 1))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_the_script_of_a_shell_is_printed(pyswarm, shell):
    script = (await pyswarm("completion", shell)).stdout
    assert f"_PYSWARM_COMPLETE={shell}_complete" in script


async def test_bash_itself_completes_commands_and_names_with_the_script(pyswarm, node, socket_path, tmp_path):
    await pyswarm("init")
    await node.cluster.run("web")
    command = tmp_path / "pyswarm"
    command.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    script = """
        eval "$(pyswarm completion bash)"
        ask() {
            COMPREPLY=(); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _pyswarm_completion pyswarm; echo "${COMPREPLY[@]}"
        }
        ask pyswarm serv; ask pyswarm service rm ""; ask pyswarm node ps v; ask pyswarm node update --role ""
    """
    bash = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYSWARM_HOST": f"unix://{socket_path}"},
    )
    assert await bash.communicate() == (b"service\nweb\nvm\nworker manager\n", b"")
