"""Jobs, as the real docker command and ours run them, wait for them and show them."""

import pytest

from core.model import TaskState
from tests.support.docker_cli import DockerCli
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli

REPLICATED = ("--mode", "replicated-job", "--replicas", "4", "--max-concurrent", "2")


@pytest.fixture
async def cluster(docker: DockerCli, node: FakeNode) -> MemoryCluster:
    await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
    await node.cluster.add_node("vm2")
    return node.cluster


@pytest.fixture
def pyswarm(socket_path) -> PyswarmCli:
    return PyswarmCli(socket_path)


@pytest.mark.parametrize("mode", [REPLICATED, ("--mode", "global-job")])
async def test_docker_waits_for_the_end_of_a_job(docker, cluster, mode):
    created = await docker("service", "create", "--name", "j", *mode, "busybox", "true")
    service = cluster.store.service_by_name("j")
    assert created.lines[0] == service.id
    assert created.lines[-1] == "job complete"
    states = {task.status.state for task in cluster.store.tasks_of_service(service.id)}
    assert states == {TaskState.COMPLETE}


async def test_ls_and_ps_show_jobs_as_docker_does(docker, pyswarm, cluster):
    await docker("service", "create", "--name", "j", *REPLICATED, "busybox", "true")
    await docker("service", "create", "--name", "g", "--mode", "global-job", "busybox", "true")
    ours, theirs = await pyswarm("service", "ls"), await docker("service", "ls")
    assert [line.split()[1:] for line in ours.lines] == [line.split()[1:] for line in theirs.lines]
    assert "replicated job   0/2 (4/4 completed)" in ours.stdout
    assert "global job       0/0 (2/2 completed)" in ours.stdout
    names = ("service", "ps", "--format", "{{.Name}} {{.DesiredState}} {{.CurrentState}}", "j")
    ours, theirs = await pyswarm(*names), await docker(*names)
    assert sorted(line.split()[:3] for line in ours.lines) == sorted(line.split()[:3] for line in theirs.lines)
    assert {line.split()[0] for line in ours.lines} > {"j.1", "j.2", "j.3"}
    assert (await pyswarm("service", "inspect", "--pretty", "j")).lines[3:6] == [
        "Service Mode: ReplicatedJob",
        "Completions: 4",
        "At once: 2",
    ]


@pytest.mark.parametrize("flags", [("--force",), ("--label-add", "a=b"), ()])
async def test_JOB_03_any_update_runs_a_job_again(docker, cluster, flags):
    await docker("service", "create", "--name", "j", *REPLICATED, "busybox", "true")
    before = cluster.store.service_by_name("j")
    updated = await docker("service", "update", *flags, "j")
    assert updated.lines[-1] == "job complete"
    service = cluster.store.service_by_name("j")
    assert (before.job_status.iteration, service.job_status.iteration) == (0, 1)
    assert {task.job_iteration for task in cluster.store.tasks_of_service(service.id)} == {1}
    assert service.update_status is None


async def test_JOB_05_a_job_has_no_update_config(docker, cluster):
    await docker("service", "create", "-d", "--name", "j", *REPLICATED, "busybox")
    refused = await docker.run("service", "update", "--rollback-delay", "1s", "j")
    assert "update and rollback configuration is not supported for jobs" in refused.stderr


async def test_ours_scales_and_rolls_back_jobs_and_waits_for_them(docker, pyswarm, cluster):
    await docker("service", "create", "-d", "--name", "j", *REPLICATED, "busybox")
    scaled = await pyswarm("service", "scale", "j=6")
    assert scaled.lines == ["j scaled to 6", "active tasks: 0 out of 0 tasks", "job complete"]
    assert cluster.store.service_by_name("j").spec.total_completions == 6
    back = await pyswarm("service", "rollback", "j")
    assert back.lines[-1] == "job complete"
    service = cluster.store.service_by_name("j")
    assert (service.spec.total_completions, service.job_status.iteration) == (4, 2)
