"""What this node still has to tell the leader about its tasks: per task only the newest status, until it is acked."""

from collections.abc import Callable, Mapping

from core import codec
from core.model import TaskStatus
from proto import dispatcher_pb2 as pb


class Reporter:
    """One report is under way at a time; what happens meanwhile gathers for the next.

    `on_pending` is called, on the loop, whenever there may be something for `take`.
    """

    def __init__(self) -> None:
        self.on_pending: Callable[[], None] = nobody
        self._pending: dict[str, TaskStatus] = {}
        self._sent: dict[str, TaskStatus] = {}
        self._sequence = 0

    def report(self, task_id: str, status: TaskStatus) -> None:
        self._pending[task_id] = status
        self.on_pending()

    def forget(self, task_id: str) -> None:
        """The leader has removed the task: nothing more is said about it."""
        self._pending.pop(task_id, None)
        self._sent.pop(task_id, None)

    def take(self) -> pb.StatusReport | None:
        """The next report to send; None while one is not acked or there is nothing to say."""
        if self._sent or not self._pending:
            return None
        self._sent, self._pending = self._pending, {}
        self._sequence += 1
        updates = [pb.TaskStatusUpdate(task_id=key, status=codec.encode(status)) for key, status in self._sent.items()]
        return pb.StatusReport(sequence=self._sequence, updates=updates)

    def acked(self, sequence: int) -> None:
        if sequence == self._sequence:
            self._sent = {}
            self.on_pending()

    def retry(self) -> None:
        """What was sent and not acked is sent again, where nothing newer has happened."""
        self._pending = self._sent | self._pending
        self._sent = {}
        self.on_pending()

    def restart(self, statuses: Mapping[str, TaskStatus]) -> None:
        """A new session: the leader may know nothing, so it is told everything."""
        self._pending = dict(statuses)
        self._sent = {}
        self.on_pending()


def nobody() -> None:
    """There is no session."""
