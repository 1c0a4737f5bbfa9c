"""Services that change while they are used: updates, rollbacks, crashes, scaling and jobs, on five hosts."""

import json

import pytest

from tests.support.lab import PATIENT, Cluster, patiently
from tests.support.load import load_on
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(500)]
PORT = 8080
REPLICAS = 20
REQUESTS = 20_000
PATIENCE = 300.0
SCALE = 100
# As a server shall: told to stop it answers what it has been asked, and ends soon.
SERVE = "mkdir /www; echo $VERSION > /www/index.html; httpd -f -p 80 -h /www & trap 'sleep 1; exit 0' TERM; wait"


@pytest.fixture(scope="module")
def web(hosts: Cluster) -> Cluster:
    hosts.form(*PATIENT)
    flags = ("--replicas", str(REPLICAS), "--publish", f"{PORT}:80", "--restart-delay", "0s", "--env", "VERSION=one")
    rolling = ("--update-parallelism", "2", "--update-monitor", "1s", "--rollback-parallelism", "2")
    command = ("busybox", "sh", "-c", SERVE)
    hosts.pyswarm("m1", "service", "create", "--detach", "--name", "web", *flags, *rolling, *command)
    wait_for("all tasks running", patiently(lambda: len(hosts.running("web")) == REPLICAS), PATIENCE)
    return hosts


def update_state(cluster: Cluster, service: str = "web") -> str:
    state: str = cluster.api("m1").get(f"/services/{service}").get("UpdateStatus", {}).get("State", "")
    return state


def versions(cluster: Cluster) -> set[str]:
    return {task["Spec"]["ContainerSpec"]["Env"][0] for task in cluster.running("web")}


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
def test_no_request_fails_while_all_tasks_are_replaced(web: Cluster, order: str) -> None:
    during = rounds = 0
    with load_on([(host.address, PORT) for host in web.hosts]) as load:
        wait_for("answers", load.requests)
        while during < REQUESTS:
            rounds += 1
            change = ("--update-order", order, "--update-delay", "2s", "--env-add", f"VERSION={order}-{rounds}")
            before = load.requests()
            web.pyswarm("m1", "service", "update", "--detach", *change, "web")
            wait_for("an update that is completed", patiently(lambda: update_state(web) == "completed"), PATIENCE)
            during += load.requests() - before
            assert versions(web) == {f"VERSION={order}-{rounds}"}
    print(f"{order}: {during} requests during {rounds} updates, failed: {load.seen.failures}")
    assert not load.seen.failures
    assert {f"{order}-{number}" for number in range(1, rounds + 1)} <= load.seen.answers


def test_an_update_to_a_bad_image_is_rolled_back_by_itself_and_nobody_notices(web: Cluster) -> None:
    before = versions(web)
    with load_on([(host.address, PORT) for host in web.hosts]) as load:
        bad = ("--image", "nobody/nothing:1", "--no-resolve-image", "--update-failure-action", "rollback")
        web.pyswarm("m1", "service", "update", "--detach", *bad, "--update-order", "start-first", "web")
        state = patiently(lambda: update_state(web) == "rollback_completed")
        wait_for("a rollback that is completed", state, PATIENCE)
    assert not load.seen.failures
    assert len(web.running("web")) == REPLICAS
    assert versions(web) == before


def test_a_rollback_by_hand_brings_the_former_spec_back_and_a_second_one_returns(web: Cluster) -> None:
    before = versions(web)
    web.pyswarm("m1", "service", "update", "--detach", "--env-add", "VERSION=four", "--update-parallelism", "0", "web")
    wait_for("the update", patiently(lambda: update_state(web) == "completed"), PATIENCE)
    for expected in (before, {"VERSION=four"}):
        web.pyswarm("m1", "service", "update", "--detach", "--rollback", "web")
        wait_for("the rollback", patiently(lambda: update_state(web) == "rollback_completed"), PATIENCE)
        assert versions(web) == expected


def test_a_container_that_crashes_is_replaced_and_history_says_why(web: Cluster) -> None:
    before = {task["ID"] for task in web.running("web")}
    victim = next(host for host in web.hosts if web.containers(host.name))
    victim.run("docker", "kill", web.containers(victim.name)[0])
    wait_for(
        "another task in its place",
        patiently(lambda: len(now := {task["ID"] for task in web.running("web")}) == REPLICAS and now != before),
    )
    (lost,) = before - {task["ID"] for task in web.running("web")}
    task = web.api("m1").get(f"/tasks/{lost}")
    assert (task["Status"]["State"], task["DesiredState"]) == ("failed", "shutdown")
    assert "137" in task["Status"]["Err"]


def test_scaling_up_and_down_leaves_exactly_what_was_asked_for(web: Cluster) -> None:
    for replicas in (SCALE, 5):
        web.pyswarm("m1", "service", "scale", "--detach", f"web={replicas}")
        counts = patiently(lambda: sum(len(web.containers(host.name)) for host in web.hosts))
        wait_for(f"{replicas} containers", lambda replicas=replicas, counts=counts: counts() == replicas, PATIENCE)
        heard = patiently(lambda: len(web.running("web")))
        wait_for("as many tasks", lambda replicas=replicas, heard=heard: heard() == replicas)
    loads = [len(web.containers(host.name)) for host in web.hosts]
    assert loads == [1] * 5, "what is left is spread"


def test_JOB_01_a_job_runs_to_its_end_and_again_when_it_is_updated(web: Cluster) -> None:
    flags = ("--mode", "replicated-job", "--replicas", "6", "--max-concurrent", "2", "--name", "count")
    web.pyswarm("m1", "service", "create", *flags, "busybox", "sh", "-c", "echo done")

    def completed() -> list[str]:
        return [task["ID"] for task in web.tasks("count") if task["Status"]["State"] == "complete"]

    first = wait_for("six completed tasks", patiently(lambda: done if len(done := completed()) == 6 else []))
    slots = json.dumps(sorted(task.get("Slot", 0) for task in web.tasks("count")))
    web.pyswarm("m1", "service", "update", "--force", "count")
    again = wait_for(
        "six others", patiently(lambda: done if len(done := completed()) == 6 and not set(done) & set(first) else [])
    )
    assert len(again) == 6
    assert slots == json.dumps(sorted(task.get("Slot", 0) for task in web.tasks("count")))
    web.pyswarm("m1", "service", "rm", "count", "web")
    wait_for("all containers gone", lambda: not any(web.containers(host.name) for host in web.hosts))
