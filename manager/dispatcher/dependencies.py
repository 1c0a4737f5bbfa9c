"""Which secrets and configs one node needs: those of its tasks that have not ended. Pure."""

from collections.abc import Iterable, Iterator

from core.codec import encode
from core.model import Dependency, DependencyKey, Secret, Task, TaskState
from core.model.dependencies import key_of, references_of, with_labels
from manager.store import View
from proto import dispatcher_pb2 as pb

PART = 4 << 20
"""Bytes of data after which a message ends and another goes on: a node may need more than gRPC takes in one."""


class NodeDependencies:
    """What a node holds. Each is sent once, however many tasks use it, and taken back after the last of them.

    One that is not there when its first task comes is never sent: its id does not come again.
    """

    def __init__(self) -> None:
        self._uses: dict[str, tuple[DependencyKey, ...]] = {}
        """By task."""
        self._held: set[DependencyKey] = set()
        self._changed = False

    def note(self, task: Task) -> None:
        """The task has come, or its status has changed."""
        if task.status.state > TaskState.RUNNING:
            self.forget(task.id)
        elif task.id not in self._uses and (references := references_of(task.spec.container)):
            self._uses[task.id] = tuple(key_of(reference) for reference in references)
            self._changed = True

    def forget(self, task_id: str) -> None:
        """The task has ended, or is gone."""
        if self._uses.pop(task_id, None) is not None:
            self._changed = True

    def take(self, view: View) -> tuple[list[Dependency], list[DependencyKey]]:
        """What the node needs now and has not, and what it has and needs no more, since the last call."""
        if not self._changed:
            return [], []
        self._changed = False
        needed = {key for keys in self._uses.values() for key in keys}
        added = sorted(needed - self._held, key=_order)
        removed = sorted(self._held - needed, key=_order)
        self._held = needed
        return [item for key in added if (item := view.dependency(key)) is not None], removed


def with_dependencies(
    message: pb.Assignments, added: Iterable[Dependency], removed: Iterable[DependencyKey]
) -> Iterator[pb.Assignments]:
    """`message`, and before it as many others as it takes."""
    for kind, item_id in removed:
        (message.removed_secrets if kind is Secret else message.removed_configs).append(item_id)
    part, size = _part_of(message), 0
    for item in added:
        if size and size + len(item.spec.data) > PART:
            yield part
            part, size = _part_of(message), 0
        field = part.secrets if isinstance(item, Secret) else part.configs
        field.append(encode(with_labels(item, {})))
        size += len(item.spec.data)
    message.secrets.extend(part.secrets)
    message.configs.extend(part.configs)
    yield message


def _part_of(message: pb.Assignments) -> pb.Assignments:
    return pb.Assignments(kind=message.kind, applies_to=message.applies_to, results_in=message.results_in, more=True)


def _order(key: DependencyKey) -> tuple[str, str]:
    return key[0].__name__, key[1]
