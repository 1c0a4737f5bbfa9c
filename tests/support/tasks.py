"""Tasks as a leader would assign them."""

from core.model import ContainerSpec, PortConfig, PublishMode, Task, TaskSpec, TaskState, TaskStatus


def make_task(
    task_id: str = "task-1",
    desired: TaskState = TaskState.RUNNING,
    state: TaskState = TaskState.ASSIGNED,
    ingress: bool = False,
) -> Task:
    ports = (PortConfig(target_port=80, published_port=8080, publish_mode=PublishMode.INGRESS),) if ingress else ()
    return Task(
        id=task_id,
        service_id="service-1",
        service_name="web",
        slot=1,
        node_id="node-1",
        spec=TaskSpec(container=ContainerSpec(image="busybox")),
        ports=ports,
        status=TaskStatus(state=state),
        desired_state=desired,
    )
