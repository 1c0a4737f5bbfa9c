"""What is refused whatever the state of the cluster."""

from dataclasses import replace

import pytest

from core.clock import MILLISECOND, SECOND
from core.errors import InvalidArgument, PyswarmError, ResourceExhausted
from core.model import (
    BindOptions,
    ClusterSpec,
    ContainerSpec,
    DNSConfig,
    EndpointMode,
    EndpointSpec,
    FailureAction,
    GenericResource,
    HealthCheck,
    LogDriver,
    Mount,
    MountType,
    NodeSpec,
    Placement,
    PortConfig,
    Protocol,
    PublishMode,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    TmpfsOptions,
    Ulimit,
    UpdateConfig,
    VolumeOptions,
)
from manager.control.validation import validate_cluster_spec, validate_node_spec, validate_service_spec
from tests.support.control_world import host, ingress, make_spec

DAY = 86_400 * SECOND


def refused(spec: ServiceSpec, words: str, kind: type[PyswarmError] = InvalidArgument) -> None:
    with pytest.raises(kind, match=words):
        validate_service_spec(spec)


def with_container(**fields: object) -> ServiceSpec:
    return make_spec(task=TaskSpec(container=ContainerSpec(**{"image": "nginx", **fields})))


def with_task(**fields: object) -> ServiceSpec:
    return make_spec(task=TaskSpec(container=ContainerSpec(image="nginx"), **fields))


@pytest.mark.parametrize("name", ["a", "0", "web", "Web-1", "a_b", "a--b", "x" * 63])
def test_API_01_names_that_may_be(name: str):
    validate_service_spec(make_spec(name))


@pytest.mark.parametrize("name", ["", "-web", "web-", "_web", "we b", "wéb", "a.b", "web\n", "x" * 64, "../etc"])
def test_API_01_names_that_may_not(name: str):
    refused(make_spec(name), "name")


def test_API_01_a_long_name_of_signs_is_refused_at_once():
    refused(make_spec("a" + "-_" * 100_000), "63 characters")
    refused(make_spec("a" + "-" * 60 + "!"), "DNS")


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (Resources(nano_cpus=999_999), "invalid cpu value 0.000999999: Must be at least 0.001"),
        (Resources(nano_cpus=-1), "invalid cpu value"),
        (Resources(memory_bytes=(4 << 20) - 1), "invalid memory value 4194303: Must be at least 4MiB"),
        (Resources(memory_bytes=-1), "invalid memory value"),
    ],
)
def test_API_02_resources(resources: Resources, words: str):
    refused(with_task(resources=ResourceRequirements(limits=resources)), words)
    refused(with_task(resources=ResourceRequirements(reservations=resources)), words)


def test_API_02_resources_at_their_least():
    least = Resources(10**6, 4 << 20)
    validate_service_spec(with_task(resources=ResourceRequirements(least, Resources())))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (with_task(restart=RestartPolicy(delay=-1)), "restart delay cannot be negative"),
        (with_task(restart=RestartPolicy(window=-1)), "restart window cannot be negative"),
        (with_task(restart=RestartPolicy(max_attempts=-1)), "restart attempts cannot be negative"),
        (with_container(stop_grace_period=-1), "stop grace period cannot be negative"),
        (make_spec(update=UpdateConfig(delay=-1)), "update delay cannot be negative"),
        (make_spec(update=UpdateConfig(monitor=-1)), "update monitor cannot be negative"),
        (make_spec(rollback=UpdateConfig(parallelism=-1)), "rollback parallelism cannot be negative"),
        (make_spec(update=UpdateConfig(max_failure_ratio=1.1)), "less than 0 or bigger than 1"),
        (make_spec(update=UpdateConfig(max_failure_ratio=-0.1)), "less than 0 or bigger than 1"),
        (make_spec(update=UpdateConfig(max_failure_ratio=float("nan"))), "less than 0 or bigger than 1"),
        (make_spec(replicas=-1), "replicas cannot be negative"),
        (make_spec(replicas=100_001), "more than the 100000"),
        (make_spec(mode=ServiceMode.GLOBAL, replicas=3), "a global service"),
        (with_task(placement=Placement(("node.role=manager",))), "with == or !="),
        (with_task(placement=Placement(preferences=("node.id",))), "name a label"),
        (with_container(image=""), "image reference must be provided"),
        (with_container(image="library/UPPER"), 'ContainerSpec: "library/UPPER" is not a valid repository/tag'),
        (with_container(image="nginx:"), "not a valid repository/tag"),
        (with_container(image="a b"), "not a valid repository/tag"),
        (with_container(image="x" * 2_000), "not a valid repository/tag"),
        (with_container(stop_signal="TERM; rm"), "is no signal"),
    ],
)
def test_API_02_numbers_durations_and_words(spec: ServiceSpec, words: str):
    refused(spec, words)


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "nginx:1.27-alpine",
        "library/nginx",
        "registry.example.com:5000/team/app:v1",
        "localhost/app",
        "[::1]:5000/app",
        "nginx@sha256:" + "a" * 64,
        "ghcr.io/o/a__b.c-d:T_1.2@sha256:" + "0" * 64,
    ],
)
def test_images(image: str):
    validate_service_spec(with_container(image=image))


@pytest.mark.parametrize("signal", ["SIGTERM", "TERM", "sigint", "9", "SIGRTMIN+3", ""])
def test_signals(signal: str):
    validate_service_spec(with_container(stop_signal=signal))


def health(*test: str, **periods: int) -> ServiceSpec:
    return with_container(health_check=HealthCheck(test, **periods))


def requirements(**fields: object) -> ServiceSpec:
    return with_task(resources=ResourceRequirements(**fields))


def generic(*resources: GenericResource) -> ServiceSpec:
    return requirements(reservations=Resources(generic=resources))


MEMORY = Resources(memory_bytes=64 << 20)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (health(interval=MILLISECOND - 1), "the health check's interval must be at least 1ms, not 999.999µs"),
        (health(timeout=1), "the health check's timeout must be at least 1ms"),
        (health(start_period=-1), "the health check's start period must be at least 1ms"),
        (health(start_interval=1), "the health check's start interval must be at least 1ms"),
        (health(retries=-1), "retries cannot be negative"),
        (health("EXEC", "true"), "begins with NONE, CMD, CMD-SHELL, not with 'EXEC'"),
        (health("CMD"), "of the kind CMD needs a command"),
        (health("CMD-SHELL", ""), "of the kind CMD-SHELL needs a command"),
        (with_container(oom_score_adj=1001), "from -1000 to 1000, not 1001"),
        (with_container(cap_add=("NET ADMIN",)), "'NET ADMIN' is no capability"),
        (with_container(cap_drop=("",)), "'' is no capability"),
        (with_container(hosts=("10.0.0.9",)), "write an IP address and a name"),
        (with_container(hosts=("db 10.0.0.9",)), "write an IP address and a name"),
        (with_container(hosts=("",)), "write an IP address and a name"),
        (with_container(dns=DNSConfig(("dns.example",))), "'dns.example' is no IP address"),
        (with_container(sysctls={"": "1"}), "a sysctl needs a name"),
        (with_container(ulimits=(Ulimit("files", 1, 2),)), "invalid ulimit 'files'"),
        (with_container(ulimits=(Ulimit("nofile", 3, 2),)), "the soft limit must not be above the hard one"),
        (with_container(ulimits=(Ulimit("nofile", -1, 2),)), "the soft limit must not be above the hard one"),
        (with_container(ulimits=(Ulimit("nofile", -2, -1),)), "cannot be below -1"),
        (with_container(ulimits=(Ulimit("nofile", 1, 2), Ulimit("nofile", 1, 2))), "ulimit nofile is given twice"),
        (requirements(limits=Resources(pids=-1)), "the number of processes cannot be negative"),
        (requirements(swap_bytes=1), "set a memory limit too"),
        (requirements(limits=MEMORY, swap_bytes=-2), "swap cannot be below -1"),
        (requirements(memory_swappiness=101), "from 0 to 100"),
        (generic(GenericResource("", value=1)), "a generic resource needs a name"),
        (generic(GenericResource("gpu")), "the number of gpu must be at least 1"),
        (generic(GenericResource("gpu", "UUID1")), "invalid generic resource gpu=UUID1: ask for a number"),
        (generic(GenericResource("gpu", value=1), GenericResource("gpu", value=2)), "gpu is asked for twice"),
        (requirements(limits=Resources(generic=(GenericResource("gpu", value=1),))), "reserved, not limited"),
        (with_task(log_driver=LogDriver(options={"a": "b"})), "options of a log driver need its name"),
        (with_task(placement=Placement(max_replicas=-1)), "replicas per node cannot be negative"),
    ],
)
def test_API_02_what_a_container_is_given(spec: ServiceSpec, words: str):
    refused(spec, words)


def test_API_02_what_a_container_may_be_given():
    validate_service_spec(health())
    validate_service_spec(health("NONE"))
    validate_service_spec(health("CMD", "true", interval=MILLISECOND, timeout=SECOND, retries=3))
    validate_service_spec(requirements(limits=MEMORY, swap_bytes=-1, memory_swappiness=-1))
    validate_service_spec(generic(GenericResource("gpu", value=1), GenericResource("ssd", value=2)))
    validate_service_spec(
        with_container(
            hosts=("10.0.0.9 db db.local", "::1 six", "host-gateway node"),
            dns=DNSConfig(("10.0.0.53", "fe80::1"), ("ex.org",), ("ndots:1",)),
            cap_add=("CAP_NET_ADMIN", "sys_time"),
            cap_drop=("ALL",),
            ulimits=(Ulimit("nofile", 1024, -1), Ulimit("nproc", -1, -1), Ulimit("core", 0, 0)),
            oom_score_adj=-1000,
        )
    )


def test_a_global_service_has_no_most_replicas_per_node():
    most = TaskSpec(container=ContainerSpec(image="nginx"), placement=Placement(max_replicas=1))
    refused(make_spec(mode=ServiceMode.GLOBAL, task=most), "leave the replicas per node out")
    validate_service_spec(make_spec(task=most))


def mount(kind: MountType, source: str = "", target: str = "/t", **options: object) -> Mount:
    return Mount(type=kind, source=source, target=target, **options)


@pytest.mark.parametrize(
    ("mounts", "words"),
    [
        ([mount(MountType.VOLUME, target="")], "invalid mount target"),
        ([mount(MountType.VOLUME, target="relative")], "invalid mount target"),
        ([mount(MountType.BIND, "relative")], "invalid bind mount source"),
        ([mount(MountType.BIND)], "invalid bind mount source"),
        ([mount(MountType.BIND, "/a", bind=BindOptions(propagation="odd"))], "unknown propagation"),
        ([mount(MountType.VOLUME, "/a")], "invalid volume mount source"),
        ([mount(MountType.VOLUME, "../a")], "is no name for a volume"),
        ([mount(MountType.TMPFS, "a")], "source must be empty"),
        ([mount(MountType.TMPFS, tmpfs=TmpfsOptions(size_bytes=-1))], "cannot be negative"),
        ([mount(MountType.VOLUME, "a", consistency="odd")], "unknown consistency"),
        ([mount(MountType.BIND, "/a", volume=VolumeOptions())], "volume options do not go with type bind"),
        ([mount(MountType.VOLUME, "a"), mount(MountType.VOLUME, "b")], "duplicate mount point: /t"),
        ([mount(MountType.VOLUME, "a"), mount(MountType.BIND, "/b", "/x/../t/")], "duplicate mount point"),
    ],
)
def test_API_02_mounts(mounts: list[Mount], words: str):
    refused(with_container(mounts=tuple(mounts)), words)


def test_mounts_that_may_be():
    mounts = (
        mount(MountType.VOLUME),
        mount(MountType.VOLUME, "data", "/data", volume=VolumeOptions(no_copy=True)),
        mount(MountType.BIND, "/etc", "/etc2", bind=BindOptions("rslave"), consistency="cached"),
        mount(MountType.TMPFS, target="/tmp2", tmpfs=TmpfsOptions(1 << 20, 0o1777)),
        mount(MountType.VOLUME, "data-{{.Task.Slot}}", "/data2"),
        mount(MountType.BIND, '{{index .Service.Labels "dir"}}', "{{.Service.Name}}"),
    )
    validate_service_spec(with_container(mounts=mounts))


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        (EndpointSpec(EndpointMode.DNSRR, (ingress(80),)), "can't be used with dnsrr mode"),
        (EndpointSpec(EndpointMode.DNSRR, (host(80),)), "needs overlay networks"),
        (EndpointSpec(EndpointMode.DNSRR), "needs overlay networks"),
        (EndpointSpec(ports=(ingress(8080, 80), ingress(8080, 81))), "duplicate published ports provided: 8080/tcp"),
        (EndpointSpec(ports=(ingress(8080, 80), host(8080, 81))), "duplicate published ports"),
        (EndpointSpec(ports=(ingress(80, 0),)), "target port 0"),
        (EndpointSpec(ports=(ingress(80, 65_536),)), "target port 65536"),
        (EndpointSpec(ports=(ingress(65_536),)), "published port 65536"),
        (EndpointSpec(ports=(ingress(-1),)), "published port -1"),
        (EndpointSpec(ports=(PortConfig(protocol=Protocol.UDP, target_port=53),)), "udp ports are not there yet"),
        (EndpointSpec(ports=(PortConfig(protocol=Protocol.SCTP, target_port=53),)), "sctp ports are not there yet"),
    ],
)
def test_API_03_ports(endpoint: EndpointSpec, words: str):
    refused(make_spec(endpoint=endpoint), words)


def test_API_03_several_automatic_ports_are_no_duplicates():
    automatic = [PortConfig(target_port=target, publish_mode=mode) for target in (80, 81) for mode in PublishMode]
    validate_service_spec(make_spec(ports=automatic))


def test_a_rollback_is_not_rolled_back():
    back = UpdateConfig(failure_action=FailureAction.ROLLBACK)
    validate_service_spec(make_spec(update=back))
    refused(make_spec(rollback=back), "use the failure action pause or continue")


def test_what_is_not_there_is_refused_with_what_to_do():
    refused(with_container(isolation="hyperv"), "isolation 'hyperv' is not there: leave it out")
    refused(with_task(runtime="plugin"), "tasks are containers")


def test_a_spec_that_no_log_entry_can_carry_is_refused():
    refused(with_container(env=("A=" + "x" * 300_000,)), "takes 293KiB of at most 256KiB", ResourceExhausted)
    refused(with_container(stop_grace_period=2**63), "out of range")
    refused(with_container(env=("A=\udcff",)), "out of range")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "other"}, "its name is always 'default'"),
        ({"heartbeat_period": 99 * MILLISECOND}, "at least 100ms, not 99ms"),
        ({"heartbeat_period": 2 * 3600 * SECOND}, "at most 1h0m0s"),
        ({"node_cert_expiry": 3599 * SECOND}, "at least 1h0m0s, not 59m59s"),
        ({"snapshot_interval": 0}, "at least 1 log entry"),
        ({"keep_old_snapshots": 101}, "at most 100 older snapshots"),
        ({"keep_old_snapshots": -1}, "the number of older snapshots cannot be negative"),
        ({"log_driver": LogDriver(options={"a": "b"})}, "options of a log driver need its name"),
    ],
)
def test_cluster_settings(changes: dict[str, object], words: str):
    with pytest.raises(InvalidArgument, match=words):
        validate_cluster_spec(replace(ClusterSpec(), **changes))


def test_cluster_settings_that_may_be():
    validate_cluster_spec(ClusterSpec())
    validate_cluster_spec(ClusterSpec(task_history_limit=-1, node_cert_expiry=DAY))


def test_node_labels():
    validate_node_spec(NodeSpec(labels={"a": ""}))
    with pytest.raises(InvalidArgument, match="needs a name"):
        validate_node_spec(NodeSpec(labels={"": "x"}))
    with pytest.raises(ResourceExhausted):
        validate_node_spec(NodeSpec(labels={"a": "x" * 300_000}))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hostname": "{{.Task"}, "the hostname: "),
        ({"hostname": "{{.Nope}}"}, "the hostname: can't evaluate field Nope"),
        ({"hostname": "{{.Nope}}", "env": ("A=" + "x" * 20_000,)}, "the hostname: can't evaluate field Nope"),
        ({"env": ("A={{bogus .Task.Name}}",)}, 'the environment variable A: function "bogus" not defined'),
        ({"env": ("A={{.Service.Labels.zone}}",)}, "the environment variable A: .*zone"),
        ({"mounts": (Mount(MountType.VOLUME, source="{{.Node.Nope}}", target="/data"),)}, "the mount at /data: "),
    ],
)
def test_a_template_that_no_node_could_fill_in_is_refused(fields: dict[str, object], words: str):
    refused(with_container(**fields), words)


@pytest.mark.parametrize(
    "template",
    [
        "{{.Service.Labels.tier}}-{{.Task.Slot}}.{{slice .Node.Hostname 0 12}}",
        "{{range .Service.Labels}}{{.}}{{end}}{{.Node.Platform.OS}}",
        '{{printf "%200000s" .Task.Name}}{{printf "%200000s" .Task.Name}}{{.Nope}}',
        "{{if 1}}{{end}}" * 1200 + "{{.Nope}}",
    ],
    ids=["fields", "range", "it makes too much to be tried", "too long to be tried"],
)
def test_a_template_that_may_be_filled_in_is_not(template: str):
    spec = with_container(env=(f"A={template}",))
    validate_service_spec(replace(spec, labels={"tier": "front"}))
