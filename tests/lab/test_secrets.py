"""Secrets and configs on real hosts: what containers see of them, what disks do not, and how they change."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.lab import Cluster, new_hosts, patiently
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

HIDDEN = "correct-horse-battery-staple"
NEWER = "second-horse-battery-staple"
SETTINGS = "threads = a-number-nobody-else-writes"
STATE = "/var/lib/pyswarm"
MOUNTS = f"{STATE}/mounts"


@pytest.fixture(scope="module")
def cluster() -> Any:
    """A manager and two workers; `w1` and `w2` run services, `m1` none."""
    with new_hosts(managers=1, workers=2) as made:
        made.form()
        made.pyswarm("m1", "node", "update", "--availability", "drain", "m1")
        yield made


@pytest.fixture(scope="module")
def app(cluster: Cluster) -> Cluster:
    """The secret `password`, the config `settings`, and the service `app` on w1 that has both."""
    cluster.pyswarm("m1", "secret", "create", "--label", "a=b", "password", "-", input=HIDDEN.encode())
    cluster.pyswarm("m1", "config", "create", "settings", "-", input=SETTINGS.encode())
    create(cluster, "app", "w1", "--secret", "password", "--config", "source=settings,target=/etc/app.conf,mode=0400")
    return cluster


def create(cluster: Cluster, name: str, host: str, *flags: str) -> None:
    script = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    where = ("--constraint", f"node.hostname=={host}", "--restart-delay", "0s")
    cluster.pyswarm("m1", "service", "create", "--name", name, *where, *flags, "busybox", *script)


def task_of(cluster: Cluster, service: str) -> str:
    (task,) = cluster.wait_running(service, 1)
    return str(task["Status"]["ContainerStatus"]["ContainerID"])


def in_container(cluster: Cluster, host: str, service: str, *command: str) -> str:
    container = task_of(cluster, service)
    return cluster.host(host).run("docker", "exec", container, *command, check=False).stdout.decode()


def mounts(cluster: Cluster, host: str) -> list[str]:
    table = cluster.host(host).run("cat", "/proc/mounts").stdout.decode()
    return [line for line in table.splitlines() if f" {MOUNTS}/" in line]


def gone(cluster: Cluster, host: str, count: int = 0) -> Callable[[], bool]:
    """Whether only so many mounts are left, and no folder without one."""

    def look() -> bool:
        folders = cluster.host(host).run("ls", MOUNTS, check=False).stdout.split()
        return len(mounts(cluster, host)) == len(folders) == count

    return look


def test_a_container_sees_its_files_with_their_owner_and_mode_in_memory(app: Cluster) -> None:
    assert in_container(app, "w1", "app", "cat", "/run/secrets/password") == HIDDEN
    assert in_container(app, "w1", "app", "cat", "/etc/app.conf") == SETTINGS
    shown = in_container(app, "w1", "app", "stat", "-c", "%n %a %u %g", "/run/secrets/password", "/etc/app.conf")
    assert shown.splitlines() == ["/run/secrets/password 444 0 0", "/etc/app.conf 400 0 0"]
    kinds = in_container(app, "w1", "app", "grep", "-E", "/run/secrets/password|/etc/app.conf", "/proc/mounts")
    assert [line.split()[2] for line in kinds.splitlines()] == ["tmpfs", "tmpfs"]
    assert all("ro" in line.split()[3].split(",") for line in kinds.splitlines())
    denied = in_container(app, "w1", "app", "sh", "-c", "echo x > /run/secrets/password || echo denied")
    assert denied == "denied\n"


def test_owner_mode_and_target_are_as_asked(app: Cluster) -> None:
    app.pyswarm("m1", "config", "create", "script", "-", input=b"#!/bin/sh\necho it ran\n")
    odd = ("--secret", "source=password,target=/a/b/c,uid=1000,gid=50,mode=0440", "--config", "source=script,mode=0555")
    create(app, "odd", "w1", *odd, "--read-only", "--user", "1000")
    shown = in_container(app, "w1", "odd", "stat", "-c", "%a %u %g", "/a/b/c")
    assert shown == "440 1000 50\n"
    assert in_container(app, "w1", "odd", "cat", "/a/b/c") == HIDDEN
    assert in_container(app, "w1", "odd", "/script") == "it ran\n"
    app.pyswarm("m1", "service", "rm", "odd")


def holding(cluster: Cluster, host: str, folder: str, text: str) -> list[str]:
    """The files of the host's disk that hold `text`; what is mounted below the folder is passed over."""
    search = ("find", folder, "-xdev", "-type", "f", "-exec", "grep", "-lF", text, "{}", "+")
    return cluster.host(host).run(*search, check=False, timeout=120).stdout.decode().split()


def test_RFT_08_no_disk_holds_the_plain_text(app: Cluster) -> None:
    assert [path for path in holding(app, "w1", STATE, "password") if "worker.db" in path], "what a task refers to is"
    for text in (HIDDEN, SETTINGS):
        for host in app.hosts:
            assert holding(app, host.name, STATE, text) == []
        assert holding(app, "w1", "/var/lib/docker", text) == []


def test_only_a_node_with_a_user_is_given_anything(app: Cluster) -> None:
    wait_for("the mount of one task", gone(app, "w1", 1))
    assert mounts(app, "w2") == []
    assert mounts(app, "m1") == []


def test_nothing_shows_a_secret(app: Cluster) -> None:
    shown = app.pyswarm("m1", "secret", "inspect", "password") + app.pyswarm("m1", "service", "inspect", "app")
    inspected = app.host("w1").run("docker", "inspect", task_of(app, "app")).stdout.decode()
    logs = "".join(host.run("sh", "-c", "cat /var/log/pyswarm.log", check=False).stdout.decode() for host in app.hosts)
    for text in (shown, inspected, logs):
        assert text
        assert HIDDEN not in text
    processes = app.host("w1").run("ps", "axww", "-o", "args").stdout.decode()
    assert HIDDEN not in processes


def test_a_killed_agent_leaves_the_container_and_its_files_and_goes_on_without_managers(app: Cluster) -> None:
    before = task_of(app, "app")
    app.host("m1").cut()
    os.kill(app.daemon("w1"), signal.SIGKILL)
    app.host("w1").start_daemon()
    wait_for("the agent", lambda: app.host("w1").run("pyswarm", "info", check=False).returncode == 0)
    read = app.host("w1").run("docker", "exec", before, "cat", "/run/secrets/password").stdout.decode()
    assert read == HIDDEN
    assert before in app.containers("w1")
    assert len(mounts(app, "w1")) == 1
    app.host("m1").mend()
    app.wait_ready(3)
    # The agent has them in memory again, for the next task.
    app.pyswarm("m1", "service", "update", "--force", "app")
    assert task_of(app, "app") != before
    assert in_container(app, "w1", "app", "cat", "/run/secrets/password") == HIDDEN
    wait_for("the old task's mount gone", gone(app, "w1", 1))


def test_a_host_that_lost_its_power_has_its_files_again_and_no_leftovers(app: Cluster) -> None:
    app.host("w1").poweroff()
    app.host("w1").boot()
    app.host("w1").wait_for_engine()
    wait_for("the service on w1", patiently(lambda: app.wait_running("app", 1)))
    wait_for("the files", lambda: in_container(app, "w1", "app", "cat", "/run/secrets/password") == HIDDEN)
    wait_for("one mount", gone(app, "w1", 1))


def test_new_data_is_rolled_out_and_rolled_back(app: Cluster) -> None:
    first = task_of(app, "app")
    app.pyswarm("m1", "secret", "update", "password", "-", input=NEWER.encode())

    def reads(wanted: str) -> Callable[[], bool]:
        return patiently(lambda: in_container(app, "w1", "app", "cat", "/run/secrets/password") == wanted)

    wait_for("the new data", reads(NEWER))
    assert task_of(app, "app") != first
    wait_for("one mount", gone(app, "w1", 1))
    assert app.api("m1").get("/secrets/password")["Revision"] == 2
    app.pyswarm("m1", "service", "rollback", "app")
    wait_for("the old data", reads(HIDDEN))
    refused = app.pyswarm("m1", "secret", "rm", "password", check=False)
    assert "in use by the following service: app" in refused


def test_a_template_is_filled_in_where_the_task_runs(app: Cluster) -> None:
    text = b'{{.Node.Hostname}} {{env "MODE"}} {{secret "password"}}'
    app.pyswarm("m1", "config", "create", "--template-driver", "golang", "greeting", "-", input=text)
    create(app, "tmpl", "w2", "--secret", "password", "--config", "greeting", "--env", "MODE=fast")
    assert in_container(app, "w2", "tmpl", "cat", "/greeting") == f"w2 fast {NEWER}"
    app.pyswarm("m1", "service", "rm", "tmpl")
    wait_for("no mount", gone(app, "w2"))


def test_when_the_service_goes_so_does_everything_of_it(app: Cluster) -> None:
    container = task_of(app, "app")
    app.pyswarm("m1", "service", "rm", "app")
    wait_for("no mount", gone(app, "w1"))
    wait_for("no container", lambda: container not in app.containers("w1"))
    app.pyswarm("m1", "secret", "rm", "password")
    app.pyswarm("m1", "config", "rm", "settings")
    assert app.api("m1").get("/secrets") == []


def test_a_node_that_leaves_keeps_nothing(app: Cluster) -> None:
    app.pyswarm("m1", "secret", "create", "last", "-", input=HIDDEN.encode())
    create(app, "last", "w2", "--secret", "last")
    assert len(mounts(app, "w2")) == 1
    app.pyswarm("w2", "leave")
    assert gone(app, "w2")()
