"""TaskTemplate: the container of a service's tasks, what it may use, where it may run, how it is restarted."""

from core.errors import InvalidArgument
from core.model import RestartCondition, RestartPolicy, TaskSpec
from pyswarm.engineapi.wire.container import read_container, show_container
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, given, some
from pyswarm.engineapi.wire.log_driver import read_log_driver, show_log_driver
from pyswarm.engineapi.wire.names import RESTART_CONDITIONS, word
from pyswarm.engineapi.wire.placement import read_placement, show_placement
from pyswarm.engineapi.wire.resources import read_requirements, show_requirements

_RUNTIME = "container"


def read_task_spec(fields: Fields) -> TaskSpec:
    """Raises InvalidArgument for a template that is not one of a container."""
    container = fields.child("ContainerSpec")
    if container is None:
        raise InvalidArgument(f"{fields.name('ContainerSpec')} must be given: it says what the tasks run")
    if fields.text("Runtime") not in ("", _RUNTIME):
        raise InvalidArgument(f"{fields.name('Runtime')}: pyswarm runs containers only")
    return TaskSpec(
        container=read_container(container),
        resources=read_requirements(fields.child("Resources")),
        restart=_read_restart(fields.child("RestartPolicy")),
        placement=read_placement(fields.child("Placement")),
        log_driver=read_log_driver(fields.child("LogDriver")),
        force_update=fields.integer("ForceUpdate"),
    )


def show_task_spec(spec: TaskSpec) -> Json:
    return {
        "ContainerSpec": show_container(spec.container),
        **given(
            Resources=spec.resources and show_requirements(spec.resources),
            RestartPolicy=spec.restart and _show_restart(spec.restart),
            Placement=spec.placement and show_placement(spec.placement),
            LogDriver=spec.log_driver and show_log_driver(spec.log_driver),
        ),
        "ForceUpdate": spec.force_update,
    }


def _read_restart(fields: Fields | None) -> RestartPolicy | None:
    if fields is None:
        return None
    return RestartPolicy(
        condition=fields.choice("Condition", RESTART_CONDITIONS, RestartCondition.ANY),
        delay=fields.maybe_integer("Delay"),
        max_attempts=fields.integer("MaxAttempts"),
        window=fields.integer("Window"),
    )


def _show_restart(policy: RestartPolicy) -> Json:
    return {
        "Condition": word(policy.condition),
        **given(Delay=policy.delay),
        "MaxAttempts": policy.max_attempts,
        **some(Window=policy.window),
    }
