"""What users do to services, by chance: all of it things that the API takes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from core.clock import SECOND
from core.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from core.model import (
    Config,
    ConfigReference,
    ConfigSpec,
    ContainerSpec,
    EndpointSpec,
    FailureAction,
    FileTarget,
    GenericResource,
    Placement,
    PortConfig,
    PublishMode,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    Secret,
    SecretReference,
    SecretSpec,
    Service,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
    UpdateOrder,
)
from manager.control import dependencies
from manager.control.validation import validate_service_spec
from tests.support.cluster_sim import images
from tests.support.small_cluster import SmallCluster, spec

MOST_SERVICES = 8
MOST_REPLICAS = 9
ZONES = ("a", "b")
INGRESS_PORTS = (0, 8080, 8081)
HOST_PORT = 9090
GENERIC = ("gpu", "ssd")
REFUSALS = (
    "already in use",
    "already exists",
    "is in use by",
    "previous spec",
    "not found",
    "is not replicated",
    "is being updated",
)


class Users:
    ACTS = (
        "deploy",
        "scale",
        "change_tasks",
        "change_terms",
        "roll_back",
        "resume",
        "rebalance",
        "remove",
        "make_data",
        "renew_data",
        "remove_data",
    )

    def __init__(self, cluster: SmallCluster, rng: Random) -> None:
        self._cluster = cluster
        self._rng = rng
        self._made = 0

    def deploy(self) -> None:
        if len(self._services()) >= MOST_SERVICES:
            return
        self._made += 1
        mode = self._rng.choice(list(ServiceMode))
        made = replace(spec(None, name=f"s{self._made}", mode=mode), task=self._task(mode))
        if mode is ServiceMode.REPLICATED:
            made = replace(made, replicas=self._rng.randrange(MOST_REPLICAS))
        elif mode is ServiceMode.REPLICATED_JOB:
            made = replace(made, total_completions=self._rng.randrange(6), max_concurrent=self._rng.randrange(1, 4))
        if not mode.is_job:
            made = replace(made, **self._configs(), endpoint=self._endpoint())
        validate_service_spec(made)
        self._ask(lambda: self._cluster.create(made))

    def scale(self) -> None:
        if (service := self._pick()) is None:
            return
        if service.spec.mode is ServiceMode.REPLICATED:
            self._update(service, replace(service.spec, replicas=self._rng.randrange(MOST_REPLICAS + 2)))

    def change_tasks(self) -> None:
        """Anything that tasks are made from; often enough only their image."""
        if (service := self._pick()) is None:
            return
        old = service.spec.task
        mode = service.spec.mode
        task = self._task(mode) if self._rng.random() < 0.5 else replace(old, container=self._task(mode).container)
        if self._rng.random() < 0.3:
            task = replace(old, force_update=old.force_update + 1)
        self._update(service, replace(service.spec, task=task))

    def change_terms(self) -> None:
        """Labels, ports, how it is updated: what few or none of the tasks are made from."""
        if (service := self._pick()) is None:
            return
        wanted = replace(service.spec, labels={"version": str(service.spec_version)})
        if not service.spec.mode.is_job and self._rng.random() < 0.7:
            wanted = replace(wanted, **self._configs())
            if self._rng.random() < 0.3:
                wanted = replace(wanted, endpoint=self._endpoint())
        self._update(service, wanted)

    def roll_back(self) -> None:
        service = self._pick()
        if service is not None and not service.spec.mode.is_job:
            self._ask(lambda: self._cluster.roll_back(service.id))

    def resume(self) -> None:
        """The same spec again: a paused update goes on."""
        if (service := self._pick()) is not None:
            self._update(service, service.spec)

    def rebalance(self) -> None:
        service = self._pick()
        if service is not None:
            most, order = self._rng.randrange(1, 3), self._rng.choice(list(UpdateOrder))
            self._ask(lambda: self._cluster.rebalance(service.id, most, order))

    def remove(self) -> None:
        if (service := self._pick()) is not None:
            self._cluster.remove_service(service.id)

    def mend(self, service: Service) -> None:
        """Asks for something that can be had."""
        good = replace(spec().task, force_update=service.spec.task.force_update + 1)
        task = replace(good, restart=RestartPolicy(delay=0))
        self._update(service, replace(service.spec, task=task, endpoint=None))

    def ask_for_all_ports(self) -> None:
        """Once everything is removed, all ports are free again."""
        ports = [PortConfig(target_port=80, published_port=port) for port in INGRESS_PORTS if port]
        wanted = replace(spec(1, name="all-ports"), endpoint=EndpointSpec(ports=tuple(ports)))
        self._cluster.create(wanted)

    # -- secrets and configs

    def make_data(self) -> None:
        kind = self._rng.choice((SecretSpec, ConfigSpec))
        made = kind(f"d{self._made}", data=b"old")
        self._ask(lambda: self._cluster.write(lambda tx: dependencies.create(tx, self._cluster.new_id(), made)))

    def renew_data(self) -> None:
        if item := self._pick_data():
            data = str(self._rng.random()).encode()
            add, new_id = dependencies.add_version, self._cluster.new_id()
            self._ask(lambda: self._cluster.write(lambda tx: add(tx, type(item), item.id, data, new_id)))

    def remove_data(self) -> None:
        if item := self._pick_data():
            self._ask(lambda: self._cluster.write(lambda tx: dependencies.remove(tx, type(item), item.id)))

    def _pick_data(self) -> Secret | Config | None:
        """The newest version of one of them."""
        store = self._cluster.store
        found = [item for item in (*store.secrets(), *store.configs()) if not item.superseded_by]
        return self._rng.choice(sorted(found, key=lambda item: item.id)) if found else None

    # -- specs

    def _update(self, service: Service, wanted: ServiceSpec) -> None:
        validate_service_spec(wanted)
        self._ask(lambda: self._cluster.update(service.id, wanted))

    def _ask(self, act: Callable[[], object]) -> None:
        """What they are refused they live with."""
        try:
            act()
        except (AlreadyExists, FailedPrecondition, InvalidArgument) as refusal:
            if not any(reason in refusal.message for reason in REFUSALS):
                raise

    def _task(self, mode: ServiceMode) -> TaskSpec:
        rng = self._rng
        image = rng.choice(images.GOOD if rng.random() < 0.6 else (*images.BAD, images.SLOW))
        task = spec(image=image, restart=self._restart()).task
        if rng.random() < 0.3 and (data := self._pick_data()):
            task = replace(task, container=_with_data(task.container, data))
        if rng.random() < 0.3:
            generic = tuple(GenericResource(kind, value=1) for kind in GENERIC if rng.random() < 0.3)
            reserved = Resources(nano_cpus=rng.randrange(1, 4) * 10**9, generic=generic)
            task = replace(task, resources=ResourceRequirements(reservations=reserved))
        if rng.random() < 0.4:
            constraints = (f"node.labels.zone=={rng.choice(ZONES)}",) if rng.random() < 0.5 else ()
            preferences = ("node.labels.zone",) if rng.random() < 0.5 else ()
            most = rng.randrange(3) if mode in (ServiceMode.REPLICATED, ServiceMode.REPLICATED_JOB) else 0
            task = replace(task, placement=Placement(constraints, preferences=preferences, max_replicas=most))
        return task

    def _restart(self) -> RestartPolicy:
        rng = self._rng
        condition = rng.choice([RestartCondition.ANY, RestartCondition.ANY, *RestartCondition])
        window = rng.choice([0, 30 * SECOND])
        return RestartPolicy(condition, rng.choice([0, 1, 5]) * SECOND, rng.choice([0, 0, 2]), window)

    def _configs(self) -> dict[str, UpdateConfig]:
        backwards = (FailureAction.PAUSE, FailureAction.CONTINUE)
        return {"update": self._config(tuple(FailureAction)), "rollback": self._config(backwards)}

    def _config(self, actions: Sequence[FailureAction]) -> UpdateConfig:
        rng = self._rng
        return UpdateConfig(
            parallelism=rng.randrange(4),
            delay=rng.choice([0, 0, 2]) * SECOND,
            monitor=rng.choice([1, 5]) * SECOND,
            max_failure_ratio=rng.choice([0.0, 0.0, 0.4]),
            order=rng.choice(list(UpdateOrder)),
            failure_action=rng.choice(actions),
        )

    def _endpoint(self) -> EndpointSpec | None:
        rng = self._rng
        kind = rng.random()
        if kind < 0.35:
            return EndpointSpec(ports=(PortConfig(target_port=80, published_port=rng.choice(INGRESS_PORTS)),))
        if kind < 0.45:
            port = PortConfig(target_port=80, published_port=HOST_PORT, publish_mode=PublishMode.HOST)
            return EndpointSpec(ports=(port,))
        return None

    def _services(self) -> list[Service]:
        return sorted(self._cluster.store.services(), key=lambda service: service.id)

    def _pick(self) -> Service | None:
        found = self._services()
        return self._rng.choice(found) if found else None


def _with_data(container: ContainerSpec, item: Secret | Config) -> ContainerSpec:
    target = FileTarget(name=item.spec.name)
    if isinstance(item, Secret):
        return replace(container, secrets=(SecretReference(item.id, item.spec.name, target),))
    return replace(container, configs=(ConfigReference(item.id, item.spec.name, target),))
