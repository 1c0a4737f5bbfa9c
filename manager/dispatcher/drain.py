"""When a task that answered published ports may stop: once no live node sends it connections any more. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.clock import MILLISECOND, SECOND
from core.model import PublishMode, Task, TaskState

GRACE = 20 * MILLISECOND
"""After the last node's acknowledgement: for the connections that it accepted just before."""
LIMIT = 2 * SECOND
"""A task is released after so long, whoever has not answered."""


def is_stopping(task: Task) -> bool:
    """Whether other nodes may still send it connections although it shall stop."""
    published = any(port.publish_mode is PublishMode.INGRESS for port in task.ports)
    return published and task.status.state is TaskState.RUNNING and task.desired_state >= TaskState.SHUTDOWN


@dataclass(slots=True)
class _Round:
    """Tasks that one version of the ingress state has left out."""

    tasks: set[str]
    nodes: set[str]
    """Those that have not acknowledged that version."""
    due: int


class Drain:
    def __init__(self) -> None:
        self._rounds: dict[int, _Round] = {}
        self._waiting: set[str] = set()

    def begin(self, version: int, task_ids: Iterable[str], nodes: Iterable[str], now: int) -> None:
        """`task_ids`, which shall stop, are no backends any more from `version` on; `nodes` are to follow that.

        Nodes that come later are not waited for: the first state they hear of leaves the tasks out.
        """
        tasks = set(task_ids)
        if not tasks:
            return
        self._waiting |= tasks
        self._rounds[version] = _Round(tasks, set(nodes), now + LIMIT)
        self._settle(self._rounds[version], now)

    def acked(self, node_id: str, version: int, now: int) -> None:
        """New connections on the node follow `version`."""
        for needed, round_ in self._rounds.items():
            if needed <= version:
                self._without(round_, node_id, now)

    def left(self, node_id: str, now: int) -> None:
        """The node has no session any more: it is not waited for."""
        for round_ in self._rounds.values():
            self._without(round_, node_id, now)

    def is_waiting(self, task_id: str) -> bool:
        return task_id in self._waiting

    def release(self, now: int) -> list[str]:
        """The tasks that may stop now, and did not before."""
        due = [version for version, round_ in self._rounds.items() if round_.due <= now]
        released = [task_id for version in due for task_id in self._rounds.pop(version).tasks]
        self._waiting.difference_update(released)
        return released

    def next_due(self) -> int | None:
        """When to ask `release` again (ns)."""
        return min((round_.due for round_ in self._rounds.values()), default=None)

    def _without(self, round_: _Round, node_id: str, now: int) -> None:
        if node_id in round_.nodes:
            round_.nodes.discard(node_id)
            self._settle(round_, now)

    def _settle(self, round_: _Round, now: int) -> None:
        if not round_.nodes:
            round_.due = min(round_.due, now + GRACE)
