"""Docker's list filters. Pure. An unknown filter, or value of one, is an InvalidArgument."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from core.errors import InvalidArgument
from core.model import Config, Node, Role, Secret, Service, ServiceMode, Task, TaskState
from manager.control.api import Filters
from manager.control.lookup import find_node, find_service
from manager.orchestrator.tasks import is_dirty, iteration_of
from manager.store import View

T = TypeVar("T")
D = TypeVar("D", Secret, Config)
_Test = Callable[[T, Sequence[str]], bool]
"""Whether an object matches a filter's values."""

_TRUE = ("1", "true")
_FALSE = ("0", "false")
_RUNTIMES = ("", "container")


def filter_nodes(view: View, filters: Filters) -> list[Node]:
    _check_values(filters, "role", [role.name.lower() for role in Role])
    _check_values(filters, "membership", ["accepted", "pending"])
    tests: Mapping[str, _Test[Node]] = {
        "id": lambda node, values: node.id.startswith(tuple(values)),
        "name": lambda node, values: _hostname(node).startswith(tuple(values)),
        "label": lambda node, values: has_labels(node.description.engine_labels if node.description else {}, values),
        "node.label": lambda node, values: has_labels(node.spec.labels, values),
        "role": lambda node, values: node.role.name.lower() in map(str.lower, values),
        "membership": lambda node, values: "accepted" in map(str.lower, values),
    }
    return _select(view.nodes(), filters, tests)


def filter_services(view: View, filters: Filters) -> list[Service]:
    _check_values(filters, "mode", [_word(mode) for mode in ServiceMode])
    tests: Mapping[str, _Test[Service]] = {
        "id": lambda service, values: service.id.startswith(tuple(values)),
        "name": lambda service, values: service.spec.name.startswith(tuple(values)),
        "label": lambda service, values: has_labels(service.spec.labels, values),
        "mode": lambda service, values: _word(service.spec.mode) in values,
        "runtime": lambda service, values: any(value in _RUNTIMES for value in values),
    }
    return _select(view.services(), filters, tests)


def filter_dependencies(items: Iterable[D], filters: Filters) -> list[D]:
    """The newest version of each."""
    tests: Mapping[str, _Test[D]] = {
        "id": lambda item, values: item.id.startswith(tuple(values)),
        "name": lambda item, values: item.spec.name.startswith(tuple(values)),
        "names": lambda item, values: item.spec.name in values,
        "label": lambda item, values: has_labels(item.spec.labels, values),
    }
    return _select((item for item in items if not item.superseded_by), filters, tests)


def filter_tasks(view: View, filters: Filters) -> list[Task]:
    """Services and nodes may be given by id, name or beginning: NotFound if one of them is not there.

    Labels are those of the service, as they were when the task was made.
    """
    _check_values(filters, "desired-state", [state.name.lower() for state in TaskState])
    _check_values(filters, "_up-to-date", [*_TRUE, *_FALSE])
    service_ids = {find_service(view, ref).id for ref in filters.get("service", ())}
    node_ids = {find_node(view, ref).id for ref in filters.get("node", ())}
    tests: Mapping[str, _Test[Task]] = {
        "id": lambda task, values: task.id.startswith(tuple(values)),
        "name": lambda task, values: task.name.startswith(tuple(values)),
        "label": lambda task, values: has_labels(task.spec.service_labels, values),
        "service": lambda task, values: task.service_id in service_ids,
        "node": lambda task, values: task.node_id in node_ids,
        "desired-state": lambda task, values: task.desired_state.name.lower() in map(str.lower, values),
        "runtime": lambda task, values: any(value in _RUNTIMES for value in values),
        "_up-to-date": lambda task, values: any(value.lower() in _FALSE for value in values) or _is_current(view, task),
    }
    candidates: Iterable[Task] = view.tasks()
    if service_ids:
        candidates = [task for service_id in service_ids for task in view.tasks_of_service(service_id)]
    elif node_ids:
        candidates = [task for node_id in node_ids for task in view.tasks_of_node(node_id)]
    return _select(candidates, filters, tests)


def has_labels(labels: Mapping[str, str], wanted: Iterable[str]) -> bool:
    """Whether `labels` has every `key`, and every `key=value`, of `wanted`."""
    pairs = (text.partition("=") for text in wanted)
    return all(key in labels and (not value or labels[key] == value) for key, _, value in pairs)


def _is_current(view: View, task: Task) -> bool:
    """Whether an update of its service would leave the task alone; a job's is of its present run."""
    service = view.service(task.service_id)
    if service is None or task.job_iteration != iteration_of(service):
        return False
    return not is_dirty(view, task, service)


def _word(mode: ServiceMode) -> str:
    """`replicated-job` for REPLICATED_JOB."""
    return mode.name.lower().replace("_", "-")


def _hostname(node: Node) -> str:
    return node.description.hostname if node.description else ""


def _check_values(filters: Filters, key: str, known: Sequence[str]) -> None:
    for value in filters.get(key, ()):
        if value.lower() not in known:
            raise InvalidArgument(f"invalid filter '{key}={value}': it may be {' or '.join(known)}")


def _select(items: Iterable[T], filters: Filters, tests: Mapping[str, _Test[T]]) -> list[T]:
    unknown = [key for key in filters if key not in tests]
    if unknown:
        raise InvalidArgument(f"invalid filter '{unknown[0]}': there are {', '.join(sorted(tests))}")
    wanted = [(tests[key], values) for key, values in filters.items() if values]
    return [item for item in items if all(test(item, values) for test, values in wanted)]
