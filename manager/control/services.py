"""Changes to services, as decisions over a transaction. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.errors import FailedPrecondition, InvalidArgument, NotFound, OutOfSequence
from core.model import (
    JobStatus,
    PortConfig,
    PortError,
    Protocol,
    PublishMode,
    Rebalance,
    Service,
    ServiceMode,
    ServiceSpec,
    UpdateOrder,
    UpdateState,
    UpdateStatus,
)
from core.ports import JOINING_OFFSET, RELAY_PORT
from manager.control.lookup import find_service
from manager.control.references import check_references
from manager.orchestrator.update_status import HALTED, is_unfinished, state_of
from manager.store import Transaction, View


def create_service(tx: Transaction, service_id: str, spec: ServiceSpec, now: int) -> None:
    """Nothing if the service is there already: this is the same request once more.

    Raises AlreadyExists if another service has the name, InvalidArgument if one has a port.
    """
    existing = tx.service(service_id)
    if existing is not None:
        if existing.spec.name != spec.name:
            raise InvalidArgument(f"this request id was used before, to create service {existing.spec.name}")
        return
    _check_ports(tx, service_id, spec)
    check_references(tx, spec)
    job = JobStatus(last_execution=now) if spec.mode.is_job else None
    tx.create(Service(id=service_id, spec=_told_its_labels(spec), job_status=job))


def update_service(tx: Transaction, service_id: str, version: int, spec: ServiceSpec, now: int) -> None:
    """Raises NotFound, OutOfSequence, and InvalidArgument for what cannot be changed.

    The same spec again goes on with an update that was paused, and changes nothing else. A job is run again by any
    update, also by one that changes nothing.
    """
    service = _read(tx, service_id, version)
    if spec.name != service.spec.name:
        raise InvalidArgument("renaming services is not supported: create a new one, then remove this one")
    if spec.mode is not service.spec.mode:
        raise InvalidArgument("service mode change is not allowed: create a new one, then remove this one")
    _check_ports(tx, service_id, spec)
    check_references(tx, spec)
    if spec.mode.is_job:
        tx.update(_run_again(with_spec(service, _told_its_labels(spec), None), now))
    elif spec != service.spec:
        tx.update(with_spec(service, _told_its_labels(spec), None))
    elif state_of(service) in HALTED:
        tx.update(replace(service, spec_version=service.spec_version + 1, update_status=None))


def rollback_service(tx: Transaction, service_id: str, version: int, now: int) -> None:
    """Raises NotFound, OutOfSequence, and FailedPrecondition if there is nothing to go back to."""
    service = _read(tx, service_id, version)
    if service.previous_spec is None:
        raise FailedPrecondition(f"service {service_id} does not have a previous spec")
    _check_ports(tx, service_id, service.previous_spec)
    check_references(tx, service.previous_spec)
    if service.spec.mode.is_job:
        tx.update(_run_again(with_spec(service, service.previous_spec, None), now))
        return
    status = UpdateStatus(UpdateState.ROLLBACK_STARTED, started_at=now, message="manually requested rollback")
    tx.update(with_spec(service, service.previous_spec, status))


def rebalance_service(tx: Transaction, ref: str, max_unavailable: int, order: UpdateOrder, now: int) -> None:
    """Asks for the service's tasks to be spread again; takes the place of what was asked for before.

    Raises NotFound, InvalidArgument, and FailedPrecondition for a service whose update is not over.
    """
    service = find_service(tx, ref)
    if max_unavailable < 1:
        raise InvalidArgument("at least one task must be moved at a time: max-unavailable is 1 or more")
    if service.spec.mode is not ServiceMode.REPLICATED:
        raise InvalidArgument(f"service {service.spec.name} is not replicated: only the tasks of such can be spread")
    if is_unfinished(service):
        paused = ", which is paused" if state_of(service) in HALTED else ""
        raise FailedPrecondition(
            f"service {service.spec.name} is being updated{paused}: rebalance it when that is over"
        )
    tx.update(replace(service, rebalance=Rebalance(max_unavailable, order, started_at=now, progress_at=now)))


def remove_service(tx: Transaction, ref: str) -> None:
    """Its tasks are taken away by the orchestrators."""
    tx.delete(Service, find_service(tx, ref).id)


def port_errors(view: View) -> list[tuple[str, PortError]]:
    """The published ports that some node cannot serve, each with the node's name."""
    return [
        (node.description.hostname if node.description else node.id, error)
        for node in view.nodes()
        for error in node.port_errors
    ]


def with_port_errors(service: Service, errors: Sequence[tuple[str, PortError]]) -> Service:
    """`service` as it is shown: with the nodes on which another program holds one of its ports."""
    if not errors:
        return service
    own = {port.published_port for port in service.endpoint.ports if port.publish_mode is PublishMode.INGRESS}
    troubles = [f"node {name}: {error.message}" for name, error in errors if error.published_port in own]
    return replace(service, error="; ".join(filter(None, (service.error, *troubles)))) if troubles else service


def _read(tx: Transaction, service_id: str, version: int) -> Service:
    service = tx.service(service_id)
    if service is None:
        raise NotFound(f"service {service_id} not found")
    if service.meta.version != version:
        raise OutOfSequence
    return service


def with_spec(service: Service, spec: ServiceSpec, status: UpdateStatus | None) -> Service:
    """`service` at the next version of its spec."""
    return replace(
        service,
        spec=spec,
        spec_version=service.spec_version + 1,
        previous_spec=service.spec,
        update_status=status,
    )


def _run_again(job: Service, now: int) -> Service:
    iteration = job.job_status.iteration + 1 if job.job_status else 1
    return replace(job, job_status=JobStatus(iteration, now))


def _told_its_labels(spec: ServiceSpec) -> ServiceSpec:
    """Tasks know of their service what their spec tells them: templates may name its labels."""
    return replace(spec, task=replace(spec.task, service_labels=spec.labels))


def _check_ports(view: View, service_id: str, spec: ServiceSpec) -> None:
    """Host ports may be shared with host ports: which node has one free is the scheduler's to find out."""
    wanted = {
        (port.protocol, port.published_port): port
        for port in (spec.endpoint.ports if spec.endpoint else ())
        if port.published_port
    }
    if not wanted:
        return
    for number in _own_ports(view):
        if (Protocol.TCP, number) in wanted:
            raise InvalidArgument(f"port '{number}' is one that the nodes themselves use: publish another")
    for other in view.services():
        if other.id == service_id:
            continue
        for held in _ports_of(other):
            port = wanted.get((held.protocol, held.published_port))
            if port is not None and PublishMode.INGRESS in (port.publish_mode, held.publish_mode):
                kind = "an ingress port" if held.publish_mode is PublishMode.INGRESS else "a host-published port"
                raise InvalidArgument(
                    f"port '{held.published_port}' is already in use by service "
                    f"'{other.spec.name}' ({other.id}) as {kind}"
                )


def _own_ports(view: View) -> Iterator[int]:
    """What nodes listen on: relays, and managers for their own and for joiners."""
    yield RELAY_PORT
    for node in view.nodes():
        if node.manager is not None:
            port = int(node.manager.addr.rpartition(":")[2])
            yield from (port, port + JOINING_OFFSET)


def _ports_of(service: Service) -> Iterator[PortConfig]:
    if service.spec.endpoint is not None:
        yield from service.spec.endpoint.ports
    yield from service.endpoint.ports
