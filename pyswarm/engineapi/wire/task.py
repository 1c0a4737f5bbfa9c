"""Tasks, as agents report them."""

from core.model import ContainerStatus, Task, TaskStatus
from pyswarm.engineapi.wire.endpoint import show_ports
from pyswarm.engineapi.wire.json_types import Json, given, show_meta, some
from pyswarm.engineapi.wire.resources import show_generic
from pyswarm.engineapi.wire.task_spec import show_task_spec
from pyswarm.engineapi.wire.times import show_time


def show_task(task: Task) -> Json:
    return {
        **show_meta(task.id, task.meta),
        "Labels": {},
        "Spec": show_task_spec(task.spec),
        "ServiceID": task.service_id,
        **some(Slot=task.shown_slot, NodeID=task.node_id),
        "Status": _show_status(task.status),
        "DesiredState": task.desired_state.name.lower(),
        **some(GenericResources=show_generic(task.generic)),
        **given(JobIteration=None if task.job_iteration is None else some(Index=task.job_iteration)),
    }


def _show_status(status: TaskStatus) -> Json:
    return {
        "Timestamp": show_time(status.timestamp),
        "State": status.state.name.lower(),
        **some(Message=status.message, Err=status.err),
        **given(ContainerStatus=status.container and _show_container(status.container)),
        "PortStatus": some(Ports=show_ports(status.ports)),
    }


def _show_container(container: ContainerStatus) -> Json:
    return {
        "ContainerID": container.container_id,
        "PID": container.pid,
        "ExitCode": container.exit_code,
    }
