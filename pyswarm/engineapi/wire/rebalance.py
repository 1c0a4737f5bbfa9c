"""A request to spread a service's tasks again, and how far it has come. The words are pyswarm's own."""

from core.model import Rebalance, UpdateOrder
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, some
from pyswarm.engineapi.wire.names import UPDATE_ORDERS, word
from pyswarm.engineapi.wire.times import show_time


def read_rebalance(body: object) -> tuple[int, UpdateOrder]:
    """How many tasks may be on the move at a time, 1 if that is left out, and in which order each is replaced."""
    fields = Fields(body)
    most = fields.maybe_integer("MaxUnavailable")
    order = fields.choice("Order", UPDATE_ORDERS, UpdateOrder.STOP_FIRST)
    fields.finish()
    return 1 if most is None else most, order


def show_rebalance(rebalance: Rebalance) -> Json:
    return {
        "MaxUnavailable": rebalance.max_unavailable,
        "Order": word(rebalance.order),
        "Moved": rebalance.moved,
        "StartedAt": show_time(rebalance.started_at),
        **some(CompletedAt=rebalance.completed_at and show_time(rebalance.completed_at), Error=rebalance.error),
    }
