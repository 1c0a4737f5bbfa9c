"""What one agent has reported and the store does not have yet: of each task the newest status. Pure."""

from collections.abc import Mapping

from core.model import TaskStatus

MOST = 200
"""Statuses that are written at once."""


class StatusInbox:
    def __init__(self) -> None:
        self._pending: dict[str, TaskStatus] = {}
        self._sequence = 0
        self._ack_due = False
        self.writing = False
        """Whether something that was taken is neither written nor failed yet."""

    def add(self, sequence: int, statuses: Mapping[str, TaskStatus]) -> None:
        """The agent's report number `sequence`."""
        self._pending |= statuses
        self._sequence = sequence
        self._ack_due = True

    def take(self) -> dict[str, TaskStatus]:
        """What to write now: nothing while something is being written."""
        if self.writing:
            return {}
        taken = {task_id: self._pending.pop(task_id) for task_id in list(self._pending)[:MOST]}
        self.writing = bool(taken)
        return taken

    def written(self) -> None:
        """What was taken has been committed."""
        self.writing = False

    def failed(self) -> None:
        """It has not; the agent will send it again."""
        self.writing = False
        self._pending.clear()
        self._ack_due = False

    def next_ack(self) -> int | None:
        """The report up to which everything is committed, once."""
        if self.writing or self._pending or not self._ack_due:
            return None
        self._ack_due = False
        return self._sequence
