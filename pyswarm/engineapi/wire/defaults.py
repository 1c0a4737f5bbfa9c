"""What Docker fills in where a service's spec says nothing (`?insertDefaults=true`)."""

from dataclasses import replace

from core.clock import SECOND
from core.model import EndpointSpec, RestartPolicy, ServiceSpec, UpdateConfig

STOP_GRACE_PERIOD = 10 * SECOND
RESTART = RestartPolicy(delay=5 * SECOND)
UPDATE = UpdateConfig(monitor=5 * SECOND)
ROLLBACK = UpdateConfig(monitor=5 * SECOND)
ENDPOINT = EndpointSpec()


def with_defaults(spec: ServiceSpec) -> ServiceSpec:
    container = spec.task.container
    if container.stop_grace_period is None:
        container = replace(container, stop_grace_period=STOP_GRACE_PERIOD)
    restart = spec.task.restart or RESTART
    if restart.delay is None:
        restart = replace(restart, delay=RESTART.delay)
    return replace(
        spec,
        task=replace(spec.task, container=container, restart=restart),
        update=_with_monitor(spec.update or UPDATE),
        rollback=_with_monitor(spec.rollback or ROLLBACK),
        endpoint=spec.endpoint or ENDPOINT,
    )


def _with_monitor(config: UpdateConfig) -> UpdateConfig:
    return config if config.monitor is not None else replace(config, monitor=UPDATE.monitor)
