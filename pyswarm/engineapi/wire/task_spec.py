"""TaskTemplate: the container of a service's tasks, what it may use, where it may run, how it is restarted."""

from core.errors import InvalidArgument
from core.model import (
    ContainerSpec,
    Placement,
    Platform,
    ResourceRequirements,
    Resources,
    RestartCondition,
    RestartPolicy,
    TaskSpec,
)
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, given, ordered, some
from pyswarm.engineapi.wire.mounts import read_mount, show_mount
from pyswarm.engineapi.wire.names import RESTART_CONDITIONS, word

_RUNTIME = "container"
_ISOLATION = "default"


def read_task_spec(fields: Fields) -> TaskSpec:
    """Raises InvalidArgument for a template that is not one of a container."""
    container = fields.child("ContainerSpec")
    if container is None:
        raise InvalidArgument(f"{fields.name('ContainerSpec')} must be given: it says what the tasks run")
    if fields.text("Runtime") not in ("", _RUNTIME):
        raise InvalidArgument(f"{fields.name('Runtime')}: pyswarm runs containers only")
    return TaskSpec(
        container=_read_container(container),
        resources=_read_requirements(fields.child("Resources")),
        restart=_read_restart(fields.child("RestartPolicy")),
        placement=_read_placement(fields.child("Placement")),
        force_update=fields.integer("ForceUpdate"),
    )


def show_task_spec(spec: TaskSpec) -> Json:
    return {
        "ContainerSpec": _show_container(spec.container),
        **given(
            Resources=spec.resources and _show_requirements(spec.resources),
            RestartPolicy=spec.restart and _show_restart(spec.restart),
            Placement=spec.placement and _show_placement(spec.placement),
        ),
        "ForceUpdate": spec.force_update,
    }


def _read_container(fields: Fields) -> ContainerSpec:
    if fields.text("Isolation") not in ("", _ISOLATION):
        raise InvalidArgument(f"{fields.name('Isolation')}: pyswarm runs Linux containers only")
    return ContainerSpec(
        image=fields.text("Image"),
        labels=fields.labels("Labels"),
        command=fields.texts("Command"),
        args=fields.texts("Args"),
        hostname=fields.text("Hostname"),
        env=fields.texts("Env"),
        dir=fields.text("Dir"),
        user=fields.text("User"),
        stop_signal=fields.text("StopSignal"),
        stop_grace_period=fields.maybe_integer("StopGracePeriod"),
        mounts=tuple(read_mount(mount) for mount in fields.children("Mounts")),
        init=fields.maybe_flag("Init"),
    )


def _show_container(spec: ContainerSpec) -> Json:
    return {
        **some(
            Image=spec.image,
            Labels=ordered(spec.labels),
            Command=list(spec.command),
            Args=list(spec.args),
            Hostname=spec.hostname,
            Env=list(spec.env),
            Dir=spec.dir,
            User=spec.user,
        ),
        **given(Init=spec.init),
        **some(StopSignal=spec.stop_signal, Mounts=[show_mount(mount) for mount in spec.mounts]),
        **given(StopGracePeriod=spec.stop_grace_period),
        "Isolation": _ISOLATION,
    }


def _read_requirements(fields: Fields | None) -> ResourceRequirements | None:
    if fields is None:
        return None
    return ResourceRequirements(
        limits=_read_resources(fields.child("Limits")),
        reservations=_read_resources(fields.child("Reservations")),
    )


def _show_requirements(requirements: ResourceRequirements) -> Json:
    limits, reservations = requirements.limits, requirements.reservations
    return given(
        Limits=limits and show_resources(limits),
        Reservations=reservations and show_resources(reservations),
    )


def _read_resources(fields: Fields | None) -> Resources | None:
    if fields is None:
        return None
    return Resources(nano_cpus=fields.integer("NanoCPUs"), memory_bytes=fields.integer("MemoryBytes"))


def show_resources(resources: Resources) -> Json:
    return some(NanoCPUs=resources.nano_cpus, MemoryBytes=resources.memory_bytes)


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


def _read_placement(fields: Fields | None) -> Placement | None:
    if fields is None:
        return None
    return Placement(
        constraints=fields.texts("Constraints"),
        platforms=tuple(
            Platform(architecture=platform.text("Architecture"), os=platform.text("OS"))
            for platform in fields.children("Platforms")
        ),
    )


def _show_placement(placement: Placement) -> Json:
    return some(
        Constraints=list(placement.constraints),
        Platforms=[show_platform(platform) for platform in placement.platforms],
    )


def show_platform(platform: Platform) -> Json:
    return some(Architecture=platform.architecture, OS=platform.os)
