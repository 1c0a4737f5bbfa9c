"""Our command where a cluster begins and ends: init, join, leave, tokens, and no daemon at all."""

import asyncio

import pytest

from core.errors import NoQuorum
from core.model import Availability, Role
from tests.support.pyswarm_cli import PyswarmCli

TOKEN = "SWMTKN-1-a-b"


@pytest.fixture
def pyswarm(session, socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


@pytest.mark.parametrize("noun", [[], ["swarm"]], ids=["pyswarm", "pyswarm swarm"])
async def test_init_prints_how_to_join(pyswarm, node, noun):
    settings = ["--cert-expiry", "2000h", "--dispatcher-heartbeat=6s", "--task-history-limit=-1"]
    flags = ["--advertise-addr", "eth0", "--listen-addr", "0.0.0.0:2400", "--availability=drain", *settings]
    first = await pyswarm(*noun, "init", *flags)
    token = node.cluster.cluster.root_ca.worker_token
    assert first.stdout == (
        f"Swarm initialized: current node ({node.local.node_id}) is now a manager.\n\n"
        "To add a worker to this swarm, run the following command:\n\n"
        f"    pyswarm join --token {token} 10.231.0.1:2377\n\n"
        "To add a manager to this swarm, run 'pyswarm join-token manager' and follow the instructions.\n"
    )
    (asked,) = node.asked
    assert (asked.advertise_addr, asked.listen_addr) == ("eth0", "0.0.0.0:2400")
    assert asked.availability is Availability.DRAIN
    spec = node.cluster.cluster.spec
    assert (spec.node_cert_expiry, spec.heartbeat_period) == (2000 * 3600 * 10**9, 6 * 10**9)
    assert spec.task_history_limit == -1
    assert (await pyswarm(*noun, "update", "--dispatcher-heartbeat", "3s")).lines == ["Swarm updated."]
    assert node.cluster.cluster.spec.heartbeat_period == 3 * 10**9
    assert (await pyswarm(*noun, "update")).stdout.startswith("Usage: ")


async def test_a_token_is_rotated_and_shown_alone(pyswarm, node):
    await pyswarm("init")
    before = node.cluster.cluster.root_ca.manager_token
    rotated = await pyswarm("join-token", "--rotate", "manager")
    after = node.cluster.cluster.root_ca.manager_token
    assert before != after
    assert rotated.lines[0] == "Successfully rotated manager join token."
    assert f"pyswarm join --token {after} 10.231.0.1:2377" in rotated.lines
    assert (await pyswarm("join-token", "-q", "manager")).lines == [after]
    quiet = await pyswarm("join-token", "-q", "--rotate", "worker")
    assert quiet.lines == [node.cluster.cluster.root_ca.worker_token]


@pytest.mark.parametrize(("token", "stdin"), [(TOKEN, ""), ("-", f"{TOKEN}\n")], ids=["flag", "standard input"])
async def test_join_takes_the_token_from_a_flag_or_unseen(pyswarm, node, token, stdin):
    joined = await pyswarm("join", "--token", token, "--availability", "pause", "10.231.0.1:2377", stdin=stdin)
    assert joined.lines == ["This node joined a swarm as a worker."]
    (asked,) = node.asked
    assert (asked.remote_addrs, asked.join_token) == (("10.231.0.1:2377",), TOKEN)
    assert asked.availability is Availability.PAUSE
    assert (await pyswarm("leave")).lines == ["Node left the swarm."]


async def test_join_without_a_token_says_so(pyswarm, node):
    assert (await pyswarm.run("join", "10.231.0.1:2377")).stderr.startswith("--token is required")
    empty = await pyswarm.run("join", "--token", "-", "10.231.0.1:2377", stdin="")
    assert (empty.exit, empty.stderr) == (1, "no token on standard input: write it there as one line\n")
    assert node.asked == []


async def test_the_last_manager_leaves_only_by_force(pyswarm, node):
    await pyswarm("init")
    refused = await pyswarm.run("leave")
    assert refused.exit == 1
    assert "Use `--force` to suppress this message" in refused.stderr
    assert (await pyswarm("leave", "-f")).lines == ["Node left the swarm."]
    assert node.cluster is None


async def test_outside_a_cluster_every_noun_says_what_to_do(pyswarm):
    refused = await pyswarm.run("node", "ls")
    assert refused.exit == 1
    assert refused.stderr.startswith("Error response from daemon: This node is not a swarm manager. Use ")


async def test_info_and_version(pyswarm):
    await pyswarm("init")
    shown = (await pyswarm("info")).stdout.splitlines()
    assert "Swarm: active" in shown
    assert " Manager Addresses:" in shown
    assert (await pyswarm("info", "-f", "{{.Swarm.LocalNodeState}}")).lines == ["active"]
    assert (await pyswarm("version")).lines[0] == "Client:"


@pytest.mark.parametrize("host", ["unix:///nowhere/pyswarm.sock", "-H"])
async def test_without_a_daemon_the_message_names_its_socket(tmp_path, host):
    alone = PyswarmCli(tmp_path / "none.sock")
    flags = ["-H", "unix:///nowhere/pyswarm.sock"] if host == "-H" else []
    wanted = "unix:///nowhere/pyswarm.sock" if flags else f"unix://{tmp_path}/none.sock"
    refused = await alone.run(*flags, "service", "ls")
    message = f"Cannot connect to the pyswarm daemon at {wanted}. Is the pyswarm daemon running?\n"
    assert (refused.exit, refused.stdout, refused.stderr) == (1, "", message)


async def test_a_daemon_that_breaks_off_is_named(tmp_path):
    async def hang_up(reader, writer):
        await reader.readline()
        writer.close()

    server = await asyncio.start_unix_server(hang_up, tmp_path / "broken.sock")
    async with server:
        refused = await PyswarmCli(tmp_path / "broken.sock").run("service", "ls")
    assert refused.exit == 1
    assert refused.stderr.startswith(f"the daemon at unix://{tmp_path}/broken.sock broke off the call: ")


@pytest.mark.parametrize("reference", ["", "..", "../info", "a/b"])
async def test_a_reference_is_never_read_as_another_path(pyswarm, reference):
    await pyswarm("init")
    refused = await pyswarm.run("service", "inspect", reference)
    assert refused.exit == 1
    assert reference in refused.stderr


async def test_a_host_that_is_no_socket_is_refused_with_what_to_write(pyswarm):
    refused = await pyswarm.run("-H", "tcp://10.0.0.1:2375", "service", "ls")
    assert refused.exit == 1
    assert "write it like unix:///run/pyswarm/pyswarm.sock" in refused.stderr
    for path in ("/etc/passwd/x", f"/{'x' * 200}"):
        refused = await pyswarm.run("-H", f"unix://{path}", "service", "ls")
        assert (refused.exit, refused.stderr.startswith("cannot use host ")) == (1, True)


async def test_node_ls_and_info_say_when_one_more_failure_would_stop_the_cluster(pyswarm, node):
    await pyswarm("init")
    assert (await pyswarm.run("node", "ls")).stderr == ""
    lost = await node.cluster.add_node("lost", Role.MANAGER)
    await node.cluster.add_node("other", Role.MANAGER)
    node.cluster.unreachable.add(lost.id)
    listed, shown = await pyswarm.run("node", "ls"), await pyswarm.run("info")
    assert "Unreachable" in listed.stdout
    assert listed.stderr == shown.stderr
    assert listed.stderr.count("one more failure stops all changes") == 1
    assert (await pyswarm.run("node", "ls", "-q")).stderr == ""


async def test_without_a_quorum_node_ls_and_info_say_what_to_do(pyswarm, node):
    await pyswarm("init")
    node.cluster.error = NoQuorum(1, 3)
    listed, shown = await pyswarm.run("node", "ls"), await pyswarm.run("info")
    assert listed.exit == 1
    assert "1 of 3 managers can be reached and 2 are needed" in listed.stderr
    assert "`pyswarm init --force-new-cluster`" in listed.stderr
    assert " Error: the cluster has lost its quorum: 1 of 3 managers can be reached" in shown.stdout


async def test_docker_itself_warns_and_forces_a_new_cluster(docker, node):
    await docker("swarm", "init")
    await node.cluster.add_node("other", Role.MANAGER)
    assert "two managers tolerate no failure" in (await docker.run("info")).stderr
    node.cluster.error = NoQuorum(1, 2)
    shown, listed = await docker.run("info"), await docker.run("node", "ls")
    assert "Error: the cluster has lost its quorum: 1 of 2 managers can be reached" in shown.stdout
    assert "`pyswarm init --force-new-cluster`" in listed.stderr
    node.cluster.error = None
    forced = await docker("swarm", "init", "--force-new-cluster")
    assert forced.lines[0] == f"Swarm initialized: current node ({node.local.node_id}) is now a manager."
    assert node.asked[-1].force_new_cluster
