"""How a service's tasks are replaced, and put back."""

from core.model import FailureAction, UpdateConfig, UpdateOrder
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, given, some
from pyswarm.engineapi.wire.names import FAILURE_ACTIONS, UPDATE_ORDERS, word


def read_update_config(fields: Fields | None) -> UpdateConfig | None:
    if fields is None:
        return None
    return UpdateConfig(
        parallelism=fields.integer("Parallelism"),
        delay=fields.integer("Delay"),
        failure_action=fields.choice("FailureAction", FAILURE_ACTIONS, FailureAction.PAUSE),
        monitor=fields.maybe_integer("Monitor"),
        max_failure_ratio=fields.number("MaxFailureRatio"),
        order=fields.choice("Order", UPDATE_ORDERS, UpdateOrder.STOP_FIRST),
    )


def show_update_config(config: UpdateConfig) -> Json:
    return {
        "Parallelism": config.parallelism,
        **some(Delay=config.delay),
        "FailureAction": word(config.failure_action),
        **given(Monitor=config.monitor),
        "MaxFailureRatio": config.max_failure_ratio,
        "Order": word(config.order),
    }
