"""What runs tasks: an Executor makes a Controller for each; `docker` is the real one, `fake` runs nothing.

Every call of a Controller may be cancelled at any time and made again: "already prepared", "already started" and
"already gone" are success. Each may raise TemporaryError (try again, nothing changed) or TaskError (final).
"""

from collections.abc import AsyncGenerator, Callable, Collection
from typing import Protocol

from core.model import LogLine, LogOptions, NodeDescription, Task
from worker.machine import Observed


class TaskError(Exception):
    """The task cannot go on. The message is shown to the user as the task's error."""


class ExitError(TaskError):
    """The task's process ended with an exit code other than 0."""

    def __init__(self, code: int, cause: str = "") -> None:
        super().__init__(f"task: non-zero exit ({code})" + (f": {cause}" if cause else ""))
        self.code = code


class UnhealthyError(TaskError):
    """The task's process runs, but its health check says that it does not work."""


class TemporaryError(Exception):
    """Nothing is wrong with the task: the engine does not answer, or is busy. The same call may succeed later."""


class Controller(Protocol):
    """Runs one task."""

    @property
    def observed(self) -> Observed:
        """What the calls so far have learnt of the container."""
        ...

    async def prepare(self) -> None:
        """Everything up to a start: image, container."""
        ...

    async def start(self) -> None:
        """Returns when the container runs and, if it has a health check, is healthy.

        Raises UnhealthyError if it turns out not to be, ExitError if it ends before.
        """
        ...

    async def wait(self) -> None:
        """Returns when the container has ended well.

        Raises ExitError if it has not, UnhealthyError if it is to be stopped, TaskError if it is gone.
        """
        ...

    async def shutdown(self) -> None:
        """Returns when the container, if there is one, has stopped: by its stop signal, after its grace by force."""
        ...

    async def remove(self) -> None:
        """Returns when the container, if there is one, is gone. One that runs is killed."""
        ...

    def logs(self, options: LogOptions) -> AsyncGenerator[LogLine, None]:
        """The container's output. Ends at once without a container, unless `options.follow` waits for it to start."""
        ...


class Executor(Protocol):
    async def run(self) -> None:
        """Keeps in touch with the engine until it is cancelled. Loss of the engine is no error."""
        ...

    def resume(self, task_ids: Collection[str]) -> None:
        """Once, before anything else: these are the tasks of the last run. What is left of others, beside their
        containers, goes."""
        ...

    async def close(self) -> None:
        """Lets go of the engine, when nothing uses the controllers any more."""
        ...

    async def describe(self) -> NodeDescription:
        """The node as it is now. Never raises: an engine that does not answer is `engine_error`."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """`callback` is called when the engine has gone or come back."""
        ...

    def controller(self, task: Task) -> Controller: ...

    async def adopted(self) -> Collection[str]:
        """The ids of the tasks of this node in this cluster that have a container here. Raises TemporaryError."""
        ...
