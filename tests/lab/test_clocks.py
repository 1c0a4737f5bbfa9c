"""Clocks that jump, and certificates that have expired. The daemons' wall clocks are set by the test; what TLS takes
for the time is the machine's."""

import sys
import time

import pytest

from core.clock import SECOND
from identity.files import load_credentials
from tests.support import jumping_daemon
from tests.support.lab import PATIENT, SILENCE, Cluster, patiently
from tests.support.standstill import Standstill
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
HOUR = 3600 * SECOND
DAY = 24 * HOUR
_CLOCK = "/run/clock"
_START = """
import subprocess, sys
with open("/var/log/pyswarm.log", "ab") as log:
    subprocess.Popen([sys.executable, *sys.argv[1:], "daemon", "--socket", "/run/pyswarm/pyswarm.sock"],
                     cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
"""


@pytest.fixture(scope="module")
def clocks(hosts: Cluster) -> Cluster:
    """Every daemon runs by a clock that `_set` moves."""
    hosts.form(*PATIENT)
    hosts.serve("web", 5, 8080)
    for host in hosts.hosts:
        _restart(hosts, host.name, 0)
    hosts.wait_ready(5, hosts.leader())
    hosts.wait_running("web", 5, hosts.leader())
    return hosts


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_wall_clock_that_jumps_an_hour_ends_no_session_and_no_leadership(clocks: Cluster, jump: int) -> None:
    while True:
        with Standstill():
            _jump(clocks, jump)
            break
        for host in clocks.hosts:
            _set(clocks, host.name, 0)
    clocks.pyswarm(clocks.follower(), "service", "create", "-d", "--name", f"at{jump}", "--replicas", "0", "busybox")


def _jump(clocks: Cluster, jump: int) -> None:
    leader = clocks.leader()
    sessions = wait_for("rest", lambda: _sessions_at_rest(clocks, leader))
    tasks = {task["ID"] for task in clocks.running("web", leader)}
    for host in clocks.hosts:
        _set(clocks, host.name, jump)
    # Longer than it takes nodes to go down, or managers to elect another leader.
    end = time.monotonic() + SILENCE
    while time.monotonic() < end:
        assert {node["Status"]["State"] for node in clocks.nodes(leader).values()} == {"ready"}
        assert clocks.nodes(leader)[leader]["ManagerStatus"].get("Leader")
    assert _registered(clocks, leader) == sessions
    assert {task["ID"] for task in clocks.running("web", leader)} == tasks


def test_a_node_may_join_managers_whose_clocks_are_nearly_an_hour_ahead(clocks: Cluster) -> None:
    leader = clocks.leader()
    clocks.pyswarm("w2", "leave")
    clocks.pyswarm(leader, "node", "rm", "--force", "w2")
    for name in ("m1", "m2", "m3"):
        _set(clocks, name, HOUR - 60 * SECOND)
    clocks.join("w2", "worker", leader)
    clocks.wait_ready(5, leader)
    for name in ("m1", "m2", "m3"):
        _set(clocks, name, 0)


def test_a_node_whose_clock_is_a_hundred_days_ahead_is_told_to_set_it(clocks: Cluster) -> None:
    leader, before = clocks.leader(), clocks.containers("w1")
    _restart(clocks, "w1", 100 * DAY)
    clocks.wait_for_error("w1", "set this node's clock, or the managers', right")
    assert "leave" not in clocks.error("w1")
    _set(clocks, "w1", 0)
    wait_for("no error", lambda: not clocks.error("w1"))
    clocks.wait_ready(5, leader)
    assert clocks.containers("w1") == before


def test_CA_05_a_node_whose_certificate_has_expired_says_so_and_joins_again_as_it_says(clocks: Cluster) -> None:
    """The leader is made to issue one of two hundred days ago, to a node by whose clock the time for it has come."""
    leader, before = clocks.leader(), clocks.containers("w1")
    old = clocks.nodes(leader)["w1"]["ID"]
    _set(clocks, leader, -200 * DAY)
    _restart(clocks, "w1", 80 * DAY)
    wait_for("an expired certificate", lambda: _expires(clocks, "w1") < time.time_ns())
    _set(clocks, leader, 0)
    _set(clocks, "w1", 0)
    clocks.wait_for_error("w1", "this node's certificate has expired, so managers refuse it")
    assert "run `pyswarm leave --force` and join again with a token" in clocks.error("w1")
    wait_for("w1 down", patiently(lambda: clocks.nodes(leader)["w1"]["Status"]["State"] == "down"))
    assert clocks.containers("w1") == before

    clocks.pyswarm("w1", "leave", "--force")
    assert clocks.containers("w1") == []
    clocks.join("w1", "worker", leader)
    clocks.pyswarm(leader, "node", "rm", old)
    clocks.wait_ready(5, leader)
    assert not clocks.error("w1")


def _restart(cluster: Cluster, name: str, offset: int) -> None:
    """Starts the host's daemon again, with a clock that is `offset` ns ahead."""
    cluster.stop_daemon(name)
    _set(cluster, name, offset)
    cluster.host(name).run(sys.executable, "-c", _START, str(jumping_daemon.__file__), _CLOCK)
    wait_for("the daemon", patiently(lambda: cluster.api(name).get("/info")))


def _set(cluster: Cluster, name: str, offset: int) -> None:
    clock = cluster.host(name).path(_CLOCK)
    new = clock.with_name("clock.new")
    new.write_text(str(offset))
    new.replace(clock)


def _registered(cluster: Cluster, leader: str) -> int:
    """How many sessions the host's manager has opened so far."""
    return cluster.host(leader).path("/var/log/pyswarm.log").read_text().count("node registered")


def _sessions_at_rest(cluster: Cluster, leader: str) -> int:
    """How many there have been, if none is opened for longer than a node without one counts as ready; else 0."""
    count = _registered(cluster, leader)
    time.sleep(SILENCE)
    cluster.wait_ready(5, leader)
    return count if _registered(cluster, leader) == count else 0


def _expires(cluster: Cluster, name: str) -> int:
    credentials = load_credentials(cluster.host(name).path("/var/lib/pyswarm/certificates"))
    assert credentials is not None
    return credentials.expires_at
