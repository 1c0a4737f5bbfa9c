"""The task state machine: what to do next for a task, and what the outcome makes of its status. Pure.

    ASSIGNED -> ACCEPTED -> PREPARING -> READY -> STARTING -> RUNNING -> COMPLETE
                                           |                     |
                     waits here until desired >= RUNNING         +-> FAILED (REJECTED before STARTING)
    desired RUNNING or, of a job's task, COMPLETE: it is run to its end, and never again
    desired >= SHUTDOWN, from anywhere that is not final         ---> SHUTDOWN

The states and messages are those of Swarm's agent.
"""

import dataclasses
from dataclasses import dataclass
from enum import Enum

from core.model import ContainerStatus, PortConfig, PublishMode, Task, TaskState, TaskStatus


class Call(Enum):
    """What is asked of a task's controller."""

    PREPARE = "prepare"
    START = "start"
    WAIT = "wait"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Step:
    call: Call | None
    """None: the step needs nothing done."""
    reaches: TaskState
    """The observed state once the call has succeeded."""
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What the controller knows of its container."""

    container: ContainerStatus | None = None
    ports: tuple[PortConfig, ...] = ()


_WAIT = Step(Call.WAIT, TaskState.COMPLETE, "finished")
_SHUTDOWN = Step(Call.SHUTDOWN, TaskState.SHUTDOWN, "shutdown")
_STEPS = {
    TaskState.ASSIGNED: Step(None, TaskState.ACCEPTED, "accepted"),
    TaskState.ACCEPTED: Step(None, TaskState.PREPARING, "preparing"),
    TaskState.PREPARING: Step(Call.PREPARE, TaskState.READY, "prepared"),
    TaskState.READY: Step(None, TaskState.STARTING, "starting"),
    TaskState.STARTING: Step(Call.START, TaskState.RUNNING, "started"),
    TaskState.RUNNING: _WAIT,
}


def next_step(observed: TaskState, desired: TaskState, released: bool) -> Step | None:
    """The step to take now, None while there is none.

    A running task that shall stop goes on running until it is `released`: until no node sends it new connections.
    """
    if is_final(observed):
        return None
    if desired >= TaskState.SHUTDOWN:
        return _WAIT if observed == TaskState.RUNNING and not released else _SHUTDOWN
    if observed == TaskState.READY and desired < TaskState.RUNNING:
        return None
    return _STEPS[max(observed, TaskState.ASSIGNED)]


def succeeded(status: TaskStatus, step: Step, seen: Observed, now: int) -> TaskStatus:
    """The status after `step`."""
    return TaskStatus(
        timestamp=now,
        state=step.reaches,
        message=step.message,
        container=seen.container or status.container,
        ports=seen.ports or status.ports,
        started_at=now if step.reaches is TaskState.RUNNING else status.started_at,
    )


def failed(status: TaskStatus, reason: str, seen: Observed, now: int) -> TaskStatus:
    """The status after a step that failed for good: REJECTED if the task never began to start, else FAILED."""
    never_began = status.state < TaskState.STARTING
    return dataclasses.replace(
        status,
        timestamp=now,
        state=TaskState.REJECTED if never_began else TaskState.FAILED,
        err=reason,
        container=seen.container or status.container,
    )


def withdrawn(status: TaskStatus, reason: str, now: int) -> TaskStatus:
    """The status of a task that still runs but is about to be stopped: without an address nobody sends it anything."""
    container = status.container and dataclasses.replace(status.container, address="")
    return dataclasses.replace(status, timestamp=now, err=reason, container=container)


def updated(task: Task, update: Task) -> Task:
    """`task` as a manager now wants it. A desired state never goes back: an update that lowers it is refused."""
    return update if update.desired_state >= task.desired_state else task


def is_final(state: TaskState) -> bool:
    return state > TaskState.RUNNING


def is_routed(task: Task) -> bool:
    """Whether other nodes send connections to the task, so that they must be told before it stops."""
    return any(port.publish_mode == PublishMode.INGRESS for port in task.ports)
