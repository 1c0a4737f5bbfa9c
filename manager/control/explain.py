"""Why tasks have the nodes they have, or none, and where the tasks of a service would go. Pure.

Made on a copy of the store, where what it writes is seen by nobody; it may take a while, so not on the loop.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from core.ids import IdSource
from core.model import (
    Explanation,
    NodeVerdict,
    PublishMode,
    Service,
    ServiceSpec,
    Task,
    TaskState,
    TaskStatus,
)
from core.words import agreeing
from manager.control import services
from manager.control.remedies import describe, ended_for_good, has_failed, lately_failed, remedy
from manager.controllers import new_controllers
from manager.orchestrator.tasks import is_live
from manager.scheduler.verdicts import verdicts
from manager.store import Transaction
from manager.turns import Turns


@dataclass(frozen=True, slots=True)
class Scratch:
    """A copy of the cluster as it was a moment ago."""

    tx: Transaction
    suspects: Collection[str]
    """Ids of nodes whose connection was broken."""
    now: int


def explain_service(scratch: Scratch, service: Service) -> Explanation:
    tasks = [task for task in scratch.tx.tasks_of_service(service.id) if is_live(task)]
    waiting = [task for task in tasks if _waits(task)]
    failed = lately_failed(scratch.tx, service, scratch.now)
    message = "; ".join(
        part
        for part in (
            _summary(service, waiting, len(tasks)),
            describe(failed, scratch.now) if failed else "",
            ended_for_good(scratch.tx, service, scratch.now),
        )
        if part
    )
    return Explanation(
        service_id=service.id,
        service_name=service.spec.name,
        waiting=len(waiting),
        message=message,
        nodes=tuple(
            _with_failures(verdict, failed, scratch.now)
            for verdict in _verdicts(scratch, waiting[0] if waiting else _next_task(service))
        ),
    )


def explain_task(scratch: Scratch, task: Task) -> Explanation:
    """Of a task that waits for a given node, only that node's word counts; of one that has its node nobody is asked."""
    waits = is_live(task) and _waits(task)
    if waits:
        message = task.status.err or task.status.message
    elif task.node_id:
        message = f"the task has its node, and is {task.status.state.name.lower()}"
        message += f": {task.status.err}" if task.status.err else ""
        if has_failed(task):
            node = scratch.tx.node(task.node_id)
            host = node.description.hostname if node is not None and node.description is not None else task.node_id
            message += f": {remedy(task, host)}"
    else:
        message = "the task was stopped before it had a node"
    found = _verdicts(scratch, task) if waits else ()
    return Explanation(
        service_id=task.service_id,
        service_name=task.service_name,
        task_id=task.id,
        node_id=task.node_id,
        waiting=int(waits),
        message=message,
        nodes=tuple(verdict for verdict in found if task.node_id in ("", verdict.node_id)),
    )


def dry_run(scratch: Scratch, service_id: str, spec: ServiceSpec, ids: IdSource) -> Explanation:
    """What becomes of a service that is made now, by the leader's own controllers. Raises what its creation raises."""
    tx = scratch.tx
    begin = tx.mark
    services.create_service(tx, service_id, spec, scratch.now)
    turns = Turns(new_controllers(ids, scratch.suspects.__contains__))
    wake_up = turns.take(tx, tx.events_since(begin), scratch.now)
    while wake_up is not None and wake_up <= scratch.now:
        wake_up = turns.take(tx, (), scratch.now)
    service = tx.service(service_id)
    assert service is not None, "nothing removes it"
    tasks = list(tx.tasks_of_service(service_id))
    waiting = [task for task in tasks if _waits(task)]
    planned = Counter(task.node_id for task in tasks if not _waits(task))
    found = _verdicts(scratch, waiting[0] if waiting else _next_task(service))
    return Explanation(
        service_name=spec.name,
        waiting=len(waiting),
        message=_summary(service, waiting, len(tasks), planned=True),
        nodes=tuple(
            # They are there on the copy alone; and who takes its part of a service need not take more.
            replace(verdict, tasks=0, planned=number, objections=verdict.objections if waiting or not number else ())
            for verdict in found
            for number in (planned[verdict.node_id],)
        ),
    )


def _verdicts(scratch: Scratch, task: Task) -> tuple[NodeVerdict, ...]:
    return verdicts(scratch.tx.nodes(), scratch.tx.tasks(), scratch.suspects, task)


def _with_failures(verdict: NodeVerdict, failed: Sequence[Task], now: int) -> NodeVerdict:
    here = [task for task in failed if task.node_id == verdict.node_id]
    if not here:
        return verdict
    return replace(verdict, failures=f"{describe(here, now)}: {remedy(here[-1], verdict.hostname)}")


def _waits(task: Task) -> bool:
    return task.status.state < TaskState.ASSIGNED


def _next_task(service: Service) -> Task:
    """One more task of the service, as it would come to the scheduler."""
    endpoint = service.spec.endpoint
    return Task(
        service_id=service.id,
        service_name=service.spec.name,
        spec=service.spec.task,
        ports=tuple(port for port in endpoint.ports if port.publish_mode is PublishMode.HOST) if endpoint else (),
        status=TaskStatus(state=TaskState.PENDING),
    )


def _summary(service: Service, waiting: Collection[Task], total: int, planned: bool = False) -> str:
    name = service.spec.name
    if service.error:
        return f"no task of {name} can be placed: {service.error}"
    if not waiting:
        return f"no task of {name} {'would wait' if planned else 'waits'} for a node"
    wait = "would wait" if planned else "waits" if len(waiting) == 1 else "wait"
    return f"{len(waiting)} of {total} {agreeing(total, 'task')} of {name} {wait} for a node: {_commonest(waiting)}"


def _commonest(waiting: Iterable[Task]) -> str:
    """The reason that most of them carry."""
    return Counter(task.status.err or task.status.message for task in waiting).most_common(1)[0][0]
