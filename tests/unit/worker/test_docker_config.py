import dataclasses

import pytest

from core.clock import SECOND
from core.model import (
    BindOptions,
    ContainerSpec,
    DNSConfig,
    GenericResource,
    HealthCheck,
    LogDriver,
    Mount,
    MountType,
    PortConfig,
    Protocol,
    PublishMode,
    ResourceRequirements,
    Resources,
    TaskSpec,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)
from tests.support.tasks import make_task
from worker.executor import TaskError
from worker.executor.docker.config import container_config, left_out
from worker.executor.docker.describe import description
from worker.executor.docker.health import Health, health_of_state, health_of_status, why_unhealthy
from worker.executor.docker.ports import published_ports

HOST = PublishMode.HOST


def config_of(spec=None, ports=(), resources=None, api=(1, 44)):
    task_spec = TaskSpec(container=spec or ContainerSpec(image="busybox"), resources=resources)
    task = dataclasses.replace(make_task(), spec=task_spec, ports=ports)
    return container_config(task, "cluster-1", "node-1", api)


def test_the_least_a_task_can_say():
    assert config_of() == {
        "Image": "busybox",
        "Labels": {
            "com.docker.swarm.task": "",
            "com.docker.swarm.task.id": "task-1",
            "com.docker.swarm.task.name": "web.1.task-1",
            "com.docker.swarm.node.id": "node-1",
            "com.docker.swarm.service.id": "service-1",
            "com.docker.swarm.service.name": "web",
            "io.pyswarm.cluster": "cluster-1",
            "io.pyswarm.node": "node-1",
            "io.pyswarm.task": "task-1",
        },
        "Env": [],
        "HostConfig": {},
    }


def test_all_of_a_container_spec():
    spec = ContainerSpec(
        image="busybox",
        labels={"mine": "yes", "io.pyswarm.task": "forged"},
        command=("/bin/sh", "-c"),
        args=("true",),
        hostname="box",
        env=("A=1", "B"),
        dir="/srv",
        user="1:2",
        stop_signal="SIGUSR1",
        stop_grace_period=1_500_000_000,
        init=True,
        isolation="default",
    )
    resources = ResourceRequirements(Resources(2 * 10**9, 2**28), Resources(10**9, 2**27))
    config = config_of(spec, resources=resources)
    assert config["Labels"]["mine"] == "yes"
    assert config["Labels"]["io.pyswarm.task"] == "task-1"
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/sh", "-c"], ["true"])
    assert (config["Hostname"], config["Env"], config["WorkingDir"]) == ("box", ["A=1", "B"], "/srv")
    assert (config["User"], config["StopSignal"], config["StopTimeout"]) == ("1:2", "SIGUSR1", 2)
    assert config["HostConfig"] == {"Memory": 2**28, "NanoCpus": 2 * 10**9, "Init": True, "Isolation": "default"}


def test_what_a_container_may_use_of_its_host():
    spec = ContainerSpec(
        tty=True,
        open_stdin=True,
        groups=("2000", "audio"),
        read_only=True,
        hosts=("10.0.0.9 db db.local", "::1 six"),
        dns=DNSConfig(("10.0.0.53",), ("ex.org",), ("ndots:1",)),
        sysctls={"net.core.somaxconn": "1024"},
        cap_add=("CAP_NET_ADMIN",),
        cap_drop=("CAP_MKNOD",),
        ulimits=(Ulimit("nofile", 1024, 2048),),
        oom_score_adj=-100,
    )
    limits = ResourceRequirements(Resources(memory_bytes=2**28, pids=100), swap_bytes=2**27, memory_swappiness=10)
    config = config_of(spec, resources=limits)
    assert (config["Tty"], config["OpenStdin"]) == (True, True)
    assert config["HostConfig"] == {
        "GroupAdd": ["2000", "audio"],
        "ReadonlyRootfs": True,
        "ExtraHosts": ["db:10.0.0.9", "db.local:10.0.0.9", "six:::1"],
        "Dns": ["10.0.0.53"],
        "DnsSearch": ["ex.org"],
        "DnsOptions": ["ndots:1"],
        "Sysctls": {"net.core.somaxconn": "1024"},
        "CapAdd": ["CAP_NET_ADMIN"],
        "CapDrop": ["CAP_MKNOD"],
        "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
        "OomScoreAdj": -100,
        "Memory": 2**28,
        "MemorySwap": 2**28 + 2**27,
        "MemorySwappiness": 10,
        "PidsLimit": 100,
    }


@pytest.mark.parametrize(("swap", "total"), [(0, 2**28), (-1, -1), (2**20, 2**28 + 2**20)])
def test_the_engine_counts_swap_and_memory_together(swap, total):
    limits = ResourceRequirements(Resources(memory_bytes=2**28), swap_bytes=swap)
    assert config_of(resources=limits)["HostConfig"]["MemorySwap"] == total


def test_no_swappiness_at_all_is_told_to_the_engine():
    assert config_of(resources=ResourceRequirements(memory_swappiness=0))["HostConfig"] == {"MemorySwappiness": 0}
    assert config_of(resources=ResourceRequirements())["HostConfig"] == {}


def test_the_services_log_driver_counts_before_the_clusters():
    task = dataclasses.replace(make_task(), log_driver=LogDriver("journald"))
    of_cluster = container_config(task, "cluster-1", "node-1", (1, 44))["HostConfig"]["LogConfig"]
    assert of_cluster == {"Type": "journald", "Config": {}}
    own = dataclasses.replace(task.spec, log_driver=LogDriver("json-file", {"max-size": "1m"}))
    config = container_config(dataclasses.replace(task, spec=own), "cluster-1", "node-1", (1, 44))
    assert config["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}


def test_generic_resources_are_told_in_the_environment():
    given = (GenericResource("gpu", "a"), GenericResource("gpu", "b"), GenericResource("ssd", value=3))
    config = container_config(dataclasses.replace(make_task(), generic=given), "cluster-1", "node-1", (1, 44))
    assert config["Env"] == ["DOCKER_RESOURCE_GPU=a,b", "DOCKER_RESOURCE_SSD=3"]


def test_a_health_check():
    check = HealthCheck(("CMD-SHELL", "true"), 5, 4, 3, 2, 1)
    assert config_of(ContainerSpec(health_check=check))["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"],
        "Interval": 5,
        "Timeout": 4,
        "StartPeriod": 3,
        "StartInterval": 2,
        "Retries": 1,
    }
    none = HealthCheck(("NONE",))
    assert config_of(ContainerSpec(health_check=none), api=(1, 41))["Healthcheck"] == {"Test": ["NONE"]}


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("Up 3 minutes", Health.HEALTHY),
        ("Up 3 minutes (healthy)", Health.HEALTHY),
        ("Up 3 minutes (unhealthy)", Health.UNHEALTHY),
        ("Up Less than a second (health: starting)", Health.STARTING),
    ],
)
def test_a_listed_container_tells_its_health(status, health):
    assert health_of_status(status) is health


def test_an_inspected_container_tells_its_health_and_what_is_wrong():
    assert health_of_state({"Status": "running"}) is Health.HEALTHY
    assert health_of_state({"Health": {"Status": "none"}}) is Health.HEALTHY
    assert health_of_state({"Health": {"Status": "starting"}}) is Health.STARTING
    sick = {"Health": {"Status": "unhealthy", "Log": [{"ExitCode": 2, "Output": "no\nanswer\n"}]}}
    assert health_of_state(sick) is Health.UNHEALTHY
    assert why_unhealthy(sick) == "unhealthy container: its health check ended with 2: no answer"
    assert why_unhealthy({"Health": {"Log": []}}) == "unhealthy container"


def test_what_the_kernel_lacks_is_not_passed_over():
    swapless = "Your kernel does not support swap limit capabilities. Memory limited without swap."
    assert left_out({"HostConfig": {"Memory": 1}}, [swapless]) == ""
    assert left_out({"HostConfig": {"Memory": 1, "MemorySwap": 2}}, [swapless]) == swapless
    swappiness = "Your kernel does not support memory swappiness capabilities. Memory swappiness discarded."
    assert left_out({"HostConfig": {}}, [swappiness, "a port is privileged"]) == swappiness


@pytest.mark.parametrize(("grace", "seconds"), [(0, 0), (1, 1), (SECOND, 1), (90 * SECOND, 90)])
def test_a_grace_is_never_cut_short(grace, seconds):
    assert config_of(ContainerSpec(stop_grace_period=grace))["StopTimeout"] == seconds


def test_mounts():
    mounts = (
        Mount(MountType.BIND, "/src", "/dst", True, "cached", bind=BindOptions("rslave", True, True)),
        Mount(MountType.VOLUME, "data", "/data", volume=VolumeOptions(True, {"l": "1"}, "nfs", {"o": "rw"})),
        Mount(MountType.VOLUME, target="/scratch", volume=VolumeOptions()),
        Mount(MountType.TMPFS, target="/tmp", tmpfs=TmpfsOptions(2**20, 0o700)),
    )
    bind, volume, scratch, tmpfs = config_of(ContainerSpec(mounts=mounts))["HostConfig"]["Mounts"]
    assert bind == {
        "Type": "bind",
        "Source": "/src",
        "Target": "/dst",
        "ReadOnly": True,
        "Consistency": "cached",
        "BindOptions": {"Propagation": "rslave", "NonRecursive": True, "CreateMountpoint": True},
    }
    assert volume["VolumeOptions"] == {
        "NoCopy": True,
        "Labels": {"l": "1"},
        "DriverConfig": {"Name": "nfs", "Options": {"o": "rw"}},
    }
    assert scratch["VolumeOptions"] == {"NoCopy": False, "Labels": {}}
    assert (tmpfs["Type"], tmpfs["TmpfsOptions"]) == ("tmpfs", {"SizeBytes": 2**20, "Mode": 0o700})


def test_what_an_old_engine_would_leave_out_silently_is_refused():
    mount = Mount(MountType.BIND, "/src", "/dst", bind=BindOptions(create_mountpoint=True))
    with pytest.raises(TaskError, match=r"mount /dst: this node's engine is too old .*API 1\.42"):
        config_of(ContainerSpec(mounts=(mount,)), api=(1, 41))
    check = HealthCheck(("CMD", "true"), start_interval=10**9)
    with pytest.raises(TaskError, match=r"too old for a start interval of health checks.*API 1\.44"):
        config_of(ContainerSpec(health_check=check), api=(1, 43))


def test_only_host_ports_are_published_by_the_engine():
    ports = (
        PortConfig(target_port=80, published_port=8080, publish_mode=HOST),
        PortConfig(target_port=80, published_port=8081, publish_mode=HOST),
        PortConfig(target_port=53, protocol=Protocol.UDP, publish_mode=HOST),
        PortConfig(target_port=90, published_port=9090),
    )
    config = config_of(ports=ports)
    assert config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    bindings = {"80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}], "53/udp": [{"HostPort": ""}]}
    assert config["HostConfig"]["PortBindings"] == bindings
    seen = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "0.0.0.0", "HostPort": "8081"}],
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32768"}],
    }
    task = dataclasses.replace(make_task(), ports=ports)
    assert published_ports(task, seen) == (*ports[:2], dataclasses.replace(ports[2], published_port=32768))
    assert published_ports(task, None) == ()


def test_the_engine_describes_the_node():
    info = {
        "Name": "host",
        "Architecture": "x86_64",
        "OSType": "linux",
        "NCPU": 2,
        "MemTotal": 2**30,
        "ServerVersion": "20.10",
        "Labels": ["disk=ssd", "plain", "eq=a=b"],
        "Plugins": {"Volume": ["local"], "Network": ["overlay", "bridge"], "Authorization": None},
    }
    node = description(info)
    assert (node.hostname, node.platform.architecture, node.platform.os) == ("host", "x86_64", "linux")
    assert (node.resources.nano_cpus, node.resources.memory_bytes) == (2 * 10**9, 2**30)
    assert node.engine_labels == {"disk": "ssd", "plain": "", "eq": "a=b"}
    plugins = [("Network", "bridge"), ("Network", "overlay"), ("Volume", "local")]
    assert [(plugin.type, plugin.name) for plugin in node.plugins] == plugins
    assert description(info | {"Labels": None, "Plugins": None}).plugins == ()


def test_a_node_has_the_generic_resources_it_was_given_and_those_its_engine_speaks_of():
    info = {
        "Name": "host",
        "Architecture": "x86_64",
        "OSType": "linux",
        "NCPU": 2,
        "MemTotal": 2**30,
        "ServerVersion": "20.10",
        "GenericResources": [
            {"NamedResourceSpec": {"Kind": "gpu", "Value": "A"}},
            {"NamedResourceSpec": {"Kind": "gpu", "Value": "B"}},
            {"DiscreteResourceSpec": {"Kind": "ssd", "Value": 3}},
        ],
    }
    ssd = GenericResource("ssd", value=3)
    assert description(info).resources.generic == (GenericResource("gpu", "A"), GenericResource("gpu", "B"), ssd)
    declared = (GenericResource("gpu", "C"), GenericResource("fpga", value=1))
    assert description(info, declared).resources.generic == (*declared, ssd)
    assert description(info | {"GenericResources": None}).resources.generic == ()
