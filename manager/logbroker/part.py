"""What one node contributes to a log: what it was asked for, and how far it has come. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from core.model import LogLine, LogOptions, Task
from proto import dispatcher_pb2 as pb


class NodePart:
    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.over = True
        """Nothing more comes from the node, unless it is asked again."""
        self.deadline = 0.0
        """Until when it may be silent, on the loop's clock."""
        self.round = 0
        """Grows whenever the node is asked anew."""
        self._services: dict[str, str] = {}
        """Task id -> service id, of the tasks it was asked for."""
        self._newest: dict[str, int] = {}
        """Task id -> time of its last line."""
        self._had: Mapping[str, int] = {}
        """What `_newest` was when the node was asked anew: it sends no older line again."""

    @property
    def tasks(self) -> Mapping[str, str]:
        return self._services

    def add(self, tasks: Iterable[Task]) -> list[str]:
        """The ids of those that are new."""
        new = {task.id: task.service_id for task in tasks if task.id not in self._services}
        self._services |= new
        return list(new)

    def resume(self, options: LogOptions) -> LogOptions:
        """Begins a new round; what to ask the node for. Lines that come twice are left out by `read`."""
        self.round += 1
        self._had = dict(self._newest)
        if not self._had:
            return options
        return replace(options, since=min(self._had.get(task_id, options.since) for task_id in self._services), tail=-1)

    def read(self, request: pb.PublishLogsRequest) -> list[LogLine]:
        """The lines of tasks that it was asked for. Node and service are what we know, whatever a line says."""
        lines = []
        for line in request.lines:
            service_id = self._services.get(line.task_id)
            if service_id is None or line.timestamp <= self._had.get(line.task_id, -1):
                continue
            self._newest[line.task_id] = max(line.timestamp, self._newest.get(line.task_id, 0))
            ids = (service_id, self.node_id, line.task_id)
            lines.append(LogLine(*ids, line.timestamp, line.stderr, line.data, line.details))
        return lines
