"""Service specs that the API accepts, and JSON of every kind that it should not choke on."""

from hypothesis import strategies as st

from core.model import (
    BindOptions,
    ConfigReference,
    ContainerSpec,
    DNSConfig,
    EndpointMode,
    EndpointSpec,
    FailureAction,
    FileTarget,
    GenericResource,
    HealthCheck,
    LogDriver,
    Mount,
    MountType,
    Placement,
    Platform,
    PortConfig,
    Protocol,
    PublishMode,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    SecretReference,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    TmpfsOptions,
    Ulimit,
    UpdateConfig,
    UpdateOrder,
    VolumeOptions,
)
from pyswarm.engineapi.wire.defaults import ROLLBACK

NANOSECONDS = st.integers(0, 2**63 - 1)
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
LABELS = st.dictionaries(TEXT, TEXT, max_size=2)
GENERIC = st.builds(GenericResource, kind=TEXT, value=NANOSECONDS) | st.builds(
    GenericResource, kind=TEXT, id=TEXT.filter(bool), value=st.just(0)
)
LIMITS = st.none() | st.builds(Resources, nano_cpus=NANOSECONDS, memory_bytes=NANOSECONDS, pids=NANOSECONDS)
RESERVATIONS = st.none() | st.builds(
    Resources, nano_cpus=NANOSECONDS, memory_bytes=NANOSECONDS, generic=st.lists(GENERIC, max_size=2).map(tuple)
)
REQUIREMENTS = st.builds(
    ResourceRequirements,
    limits=LIMITS,
    reservations=RESERVATIONS,
    swap_bytes=st.none() | st.integers(-1, 2**63 - 1),
    memory_swappiness=st.none() | st.integers(-1, 100),
)
PLATFORMS = st.lists(st.builds(Platform, TEXT, TEXT), max_size=2).map(tuple)

MOUNTS = st.builds(
    Mount,
    type=st.sampled_from(MountType),
    source=TEXT,
    target=TEXT,
    read_only=st.booleans(),
    consistency=TEXT,
    bind=st.none() | st.builds(BindOptions, TEXT, st.booleans(), st.booleans()),
    volume=st.none() | st.builds(VolumeOptions, st.booleans(), LABELS, TEXT, LABELS),
    tmpfs=st.none() | st.builds(TmpfsOptions, NANOSECONDS, st.integers(0, 2**31 - 1)),
)
FILES = st.builds(FileTarget, TEXT, TEXT.filter(bool), TEXT.filter(bool), st.integers(0, 2**31 - 1))
CONTAINERS = st.builds(
    ContainerSpec,
    image=TEXT,
    labels=LABELS,
    command=TEXTS,
    args=TEXTS,
    hostname=TEXT,
    env=TEXTS,
    dir=TEXT,
    user=TEXT,
    stop_signal=TEXT,
    stop_grace_period=st.none() | NANOSECONDS,
    mounts=st.lists(MOUNTS, max_size=2).map(tuple),
    init=st.none() | st.booleans(),
    isolation=st.just(""),
    groups=TEXTS,
    tty=st.booleans(),
    open_stdin=st.booleans(),
    read_only=st.booleans(),
    hosts=TEXTS,
    dns=st.none() | st.builds(DNSConfig, TEXTS, TEXTS, TEXTS),
    health_check=st.none()
    | st.builds(HealthCheck, TEXTS, NANOSECONDS, NANOSECONDS, NANOSECONDS, NANOSECONDS, NANOSECONDS),
    secrets=st.lists(st.builds(SecretReference, TEXT, TEXT, FILES), max_size=2).map(tuple),
    configs=st.lists(st.builds(ConfigReference, TEXT, TEXT, FILES), max_size=2).map(tuple),
    sysctls=LABELS,
    cap_add=TEXTS,
    cap_drop=TEXTS,
    ulimits=st.lists(st.builds(Ulimit, TEXT, NANOSECONDS, NANOSECONDS), max_size=2).map(tuple),
    oom_score_adj=st.integers(-1000, 1000),
    registry_auth=st.just(""),
)
RESTARTS = st.builds(
    RestartPolicy, st.sampled_from(RestartCondition), st.none() | NANOSECONDS, NANOSECONDS, NANOSECONDS
)
TASKS = st.builds(
    TaskSpec,
    container=CONTAINERS,
    resources=st.none() | REQUIREMENTS,
    restart=st.none() | RESTARTS,
    placement=st.none() | st.builds(Placement, TEXTS, PLATFORMS, TEXTS, NANOSECONDS),
    force_update=NANOSECONDS,
    runtime=st.just(""),
    log_driver=st.none() | st.builds(LogDriver, TEXT, LABELS),
)
PORTS = st.builds(
    PortConfig,
    name=TEXT,
    protocol=st.sampled_from(Protocol),
    target_port=st.integers(0, 65535),
    published_port=st.integers(0, 65535),
    publish_mode=st.sampled_from(PublishMode),
)
ENDPOINTS = st.builds(EndpointSpec, st.sampled_from(EndpointMode), st.lists(PORTS, max_size=2).map(tuple))
UPDATES = st.builds(
    UpdateConfig,
    parallelism=NANOSECONDS,
    delay=NANOSECONDS,
    failure_action=st.sampled_from(FailureAction),
    monitor=st.sampled_from([None, 0, 5 * 10**9]),
    order=st.sampled_from(UpdateOrder),
)


def service_specs() -> st.SearchStrategy[ServiceSpec]:
    """Every spec that can be shown and read back without a loss."""
    shared = {
        "name": TEXT,
        "labels": LABELS,
        "task": TASKS,
        "update": st.none() | UPDATES,
        "rollback": st.none() | st.just(ROLLBACK),
        "endpoint": st.none()
        | st.builds(EndpointSpec, mode=st.sampled_from(EndpointMode), ports=st.lists(PORTS, max_size=2).map(tuple)),
    }
    return st.one_of(
        st.builds(ServiceSpec, mode=st.just(ServiceMode.REPLICATED), replicas=NANOSECONDS, **shared),
        st.builds(ServiceSpec, mode=st.sampled_from([ServiceMode.GLOBAL, ServiceMode.GLOBAL_JOB]), **shared),
        st.builds(
            ServiceSpec,
            mode=st.just(ServiceMode.REPLICATED_JOB),
            total_completions=NANOSECONDS,
            max_concurrent=NANOSECONDS,
            **shared,
        ),
    )


ANY_TEXT = st.text(max_size=6)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | ANY_TEXT
ANY_JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3), max_leaves=5
)


HOSTILE = [None, True, -1, 0.5, 2**31, 2**32, 2**63 - 1, 2**63, 10**400, "x", "\ud800", "\0", [1], ["x"], {"a": "b"}]


def damaged(value):
    """`value` with one member, anywhere in it, replaced by anything."""
    return st.tuples(st.sampled_from(list(_paths(value))), ANY_JSON).map(lambda change: _put(value, *change))


def every_damage(value):
    """`value` with each of its members in turn replaced by each of HOSTILE."""
    return [_put(value, path, hostile) for path in _paths(value) for hostile in HOSTILE]


def _paths(value, outer=()):
    yield outer
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from _paths(member, (*outer, key))


def _put(value, path, new):
    if not path:
        return new
    changed = value.copy()
    changed[path[0]] = _put(value[path[0]], path[1:], new)
    return changed


FULL = ServiceSpec(
    name="full",
    labels={"a": "b"},
    task=TaskSpec(
        container=ContainerSpec(
            image="busybox",
            labels={"a": "b"},
            command=("sh",),
            args=("-c",),
            hostname="h",
            env=("A=1",),
            dir="/",
            user="1000",
            stop_signal="SIGINT",
            stop_grace_period=1,
            mounts=(
                Mount(MountType.BIND, "/a", "/b", True, "default", bind=BindOptions("rshared", True, True)),
                Mount(MountType.VOLUME, "v", "/c", volume=VolumeOptions(True, {"a": "b"}, "local", {"o": "p"})),
                Mount(MountType.TMPFS, "", "/d", tmpfs=TmpfsOptions(1, 0o1770)),
            ),
            init=True,
            groups=("2000",),
            tty=True,
            open_stdin=True,
            read_only=True,
            hosts=("1.2.3.4 h",),
            dns=DNSConfig(("10.0.0.53",), ("ex.org",), ("ndots:1",)),
            health_check=HealthCheck(("CMD", "true"), 1, 1, 1, 1, 1),
            sysctls={"a": "1"},
            cap_add=("CAP_NET_ADMIN",),
            cap_drop=("CAP_MKNOD",),
            ulimits=(Ulimit("nofile", 1, 2),),
            oom_score_adj=-5,
        ),
        resources=ResourceRequirements(
            Resources(1, 1, pids=1),
            Resources(1, 1, (GenericResource("gpu", value=1), GenericResource("gpu", "UUID1"))),
            swap_bytes=-1,
            memory_swappiness=60,
        ),
        restart=RestartPolicy(RestartCondition.ON_FAILURE, 1, 1, 1),
        placement=Placement(("node.role==manager",), (Platform("x86_64", "linux"),), ("node.labels.zone",), 2),
        force_update=1,
        log_driver=LogDriver("json-file", {"max-size": "1m"}),
    ),
    replicas=2,
    update=UpdateConfig(2, 1, monitor=5 * 10**9, order=UpdateOrder.START_FIRST),
    rollback=ROLLBACK,
    endpoint=EndpointSpec(ports=(PortConfig("p", target_port=80, published_port=8080, publish_mode=PublishMode.HOST),)),
)
"""A spec with a value in every member that the API reads."""
