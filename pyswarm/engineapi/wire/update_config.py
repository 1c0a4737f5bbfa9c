"""How a service's tasks are replaced, and put back."""

from dataclasses import replace

from core.errors import InvalidArgument
from core.model import FailureAction, UpdateConfig, UpdateOrder
from pyswarm.engineapi.wire.defaults import ROLLBACK, UPDATE
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, given, some
from pyswarm.engineapi.wire.names import FAILURE_ACTIONS, UPDATE_ORDERS, word


def read_update_config(fields: Fields | None) -> UpdateConfig | None:
    """Raises InvalidArgument for a way to judge an update other than Docker's default: there is no other yet."""
    if fields is None:
        return None
    config = UpdateConfig(
        parallelism=fields.integer("Parallelism"),
        delay=fields.integer("Delay"),
        failure_action=fields.choice("FailureAction", FAILURE_ACTIONS, FailureAction.PAUSE),
        monitor=fields.maybe_integer("Monitor"),
        max_failure_ratio=fields.number("MaxFailureRatio"),
        order=fields.choice("Order", UPDATE_ORDERS, UpdateOrder.STOP_FIRST),
    )
    if config.monitor not in (None, 0, UPDATE.monitor):
        raise InvalidArgument(f"{fields.name('Monitor')} other than 5s is not supported by pyswarm yet")
    if config.max_failure_ratio:
        raise InvalidArgument(f"{fields.name('MaxFailureRatio')} is not supported by pyswarm yet")
    return config


def read_rollback_config(fields: Fields | None) -> UpdateConfig | None:
    """Raises InvalidArgument for anything but Docker's defaults: there is no other way to roll back yet."""
    config = read_update_config(fields)
    if config is not None and fields is not None and replace(config, monitor=ROLLBACK.monitor) != ROLLBACK:
        raise InvalidArgument("RollbackConfig other than the default is not supported by pyswarm yet")
    return config


def show_update_config(config: UpdateConfig) -> Json:
    return {
        "Parallelism": config.parallelism,
        **some(Delay=config.delay),
        "FailureAction": word(config.failure_action),
        **given(Monitor=config.monitor),
        "MaxFailureRatio": config.max_failure_ratio,
        "Order": word(config.order),
    }
