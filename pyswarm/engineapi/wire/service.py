"""Services: what is asked (ServiceSpec) and what there is."""

from core.errors import InvalidArgument
from core.model import JobStatus, Service, ServiceSpec, UpdateStatus
from manager.control import TaskCounts
from pyswarm.engineapi.wire.defaults import with_defaults
from pyswarm.engineapi.wire.endpoint import read_endpoint_spec, show_endpoint, show_endpoint_spec
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, given, ordered, show_meta, some
from pyswarm.engineapi.wire.mode import read_mode, show_mode
from pyswarm.engineapi.wire.rebalance import show_rebalance
from pyswarm.engineapi.wire.task_spec import read_task_spec, show_task_spec
from pyswarm.engineapi.wire.times import show_time
from pyswarm.engineapi.wire.update_config import read_update_config, show_update_config


def read_service_spec(body: object) -> ServiceSpec:
    fields = Fields(body)
    template = fields.child("TaskTemplate")
    if template is None:
        raise InvalidArgument("TaskTemplate must be given: it says what the service's tasks run")
    spec = ServiceSpec(
        name=fields.text("Name"),
        labels=fields.labels("Labels"),
        task=read_task_spec(template),
        **read_mode(fields.child("Mode")),
        update=read_update_config(fields.child("UpdateConfig")),
        rollback=read_update_config(fields.child("RollbackConfig")),
        endpoint=read_endpoint_spec(fields.child("EndpointSpec")),
    )
    fields.finish()
    return spec


def show_service_spec(spec: ServiceSpec) -> Json:
    """As it was sent, plus what dockerd adds: Isolation, Runtime, and one replica where no number was given."""
    return {
        "Name": spec.name,
        "Labels": ordered(spec.labels),
        "TaskTemplate": {**show_task_spec(spec.task), "Runtime": "container"},
        "Mode": show_mode(spec),
        **given(
            UpdateConfig=spec.update and show_update_config(spec.update),
            RollbackConfig=spec.rollback and show_update_config(spec.rollback),
            EndpointSpec=spec.endpoint and show_endpoint_spec(spec.endpoint),
        ),
    }


def show_service(service: Service, *, defaults: bool = False) -> Json:
    """`defaults` fills in what the spec leaves out.

    `Rebalance` is pyswarm's own, and `Error`: why the service's ports can not be had yet.
    """
    spec = with_defaults(service.spec) if defaults else service.spec
    return {
        **show_meta(service.id, service.meta),
        "Spec": show_service_spec(spec),
        **given(PreviousSpec=service.previous_spec and show_service_spec(service.previous_spec)),
        "Endpoint": show_endpoint(service.endpoint, service.spec.endpoint),
        **given(
            UpdateStatus=service.update_status and _show_update_status(service.update_status),
            JobStatus=service.job_status and _show_job(service.job_status),
        ),
        **given(Rebalance=service.rebalance and show_rebalance(service.rebalance)),
        **some(Error=service.error),
    }


def _show_update_status(status: UpdateStatus) -> Json:
    return {
        "State": status.state.name.lower(),
        **some(
            StartedAt=status.started_at and show_time(status.started_at),
            CompletedAt=status.completed_at and show_time(status.completed_at),
            Message=status.message,
        ),
    }


def show_counts(counts: TaskCounts) -> Json:
    return {"RunningTasks": counts.running, "DesiredTasks": counts.desired, "CompletedTasks": counts.completed}


def _show_job(status: JobStatus) -> Json:
    return {
        "JobIteration": some(Index=status.iteration),
        **some(LastExecution=status.last_execution and show_time(status.last_execution)),
    }
