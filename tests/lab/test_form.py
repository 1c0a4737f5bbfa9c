"""From five hosts to a cluster: tokens right, wrong, rotated and foreign; addresses that cannot be."""

import pytest

from tests.support.lab import Cluster

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def test_commands_without_a_cluster_say_what_to_do(hosts: Cluster) -> None:
    said = hosts.pyswarm("w2", "node", "ls", check=False)
    assert "Cannot connect to the pyswarm daemon" in said


def test_init_starts_the_daemon_and_shows_how_to_join(hosts: Cluster) -> None:
    said = hosts.pyswarm("m1", "init", "--advertise-addr", "eth0")
    assert "is now a manager" in said
    assert f"pyswarm join --token {hosts.token('worker')} {hosts.host('m1').address}:2377" in said
    assert "already part of a swarm" in hosts.pyswarm("m1", "init", check=False)


def test_an_address_that_is_none_of_this_host_is_refused_and_leaves_no_trace(hosts: Cluster) -> None:
    said = hosts.pyswarm("w1", "init", "--advertise-addr", "nosuch0", check=False)
    assert "neither an IP address nor an interface" in said
    assert hosts.api("w1").get("/info")["Swarm"]["LocalNodeState"] == "inactive"


@pytest.mark.parametrize(
    ("token", "complaint"),
    [
        ("rubbish", "token"),
        ("SWMTKN-1-" + "0" * 50 + "-" + "0" * 25, "another cluster"),
    ],
)
def test_a_token_that_is_none_or_foreign_is_refused_before_it_is_sent(
    hosts: Cluster, token: str, complaint: str
) -> None:
    said = hosts.pyswarm("w1", "join", "--token", token, f"{hosts.host('m1').address}:2377", check=False)
    assert complaint in said
    assert hosts.api("w1").get("/info")["Swarm"]["LocalNodeState"] == "inactive"


def test_a_wrong_secret_is_refused(hosts: Cluster) -> None:
    token = hosts.token("worker")
    wrong = token[:-25] + "0" * 25
    said = hosts.pyswarm("w1", "join", "--token", wrong, f"{hosts.host('m1').address}:2377", check=False)
    assert "join-token" in said


def test_nobody_listening_is_said_plainly(hosts: Cluster) -> None:
    nobody = hosts.host("w2").address
    said = hosts.pyswarm("w1", "join", "--token", hosts.token("worker"), f"{nobody}:2377", check=False)
    assert nobody in said


def test_CA_02_a_rotated_token_admits_nobody_and_nodes_that_are_in_stay(hosts: Cluster) -> None:
    hosts.join("w1", "worker")
    old = hosts.token("worker")
    assert "Successfully rotated worker join token" in hosts.pyswarm("m1", "join-token", "--rotate", "worker")
    said = hosts.pyswarm("w2", "join", "--token", old, f"{hosts.host('m1').address}:2377", check=False)
    assert "join-token" in said
    hosts.join("w2", "worker")
    hosts.wait_ready(3)


def test_managers_join_with_the_managers_token(hosts: Cluster) -> None:
    hosts.join("m2", "manager")
    hosts.join("m3", "manager")
    hosts.wait_ready(5)
    managers = {name for name, node in hosts.nodes("m3").items() if node.get("ManagerStatus")}
    assert managers == {"m1", "m2", "m3"}
    assert "already part of a swarm" in hosts.pyswarm(
        "m2", "join", "--token", hosts.token("worker"), f"{hosts.host('m1').address}:2377", check=False
    )


def test_a_worker_answers_no_questions_about_the_cluster(hosts: Cluster) -> None:
    said = hosts.pyswarm("w1", "node", "ls", check=False)
    assert "This node is not a swarm manager. Worker nodes can't be used" in said
