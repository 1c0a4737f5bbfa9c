"""What changes in the cluster, for whoever wants to know: the last changes, and those that come."""

from manager.watch.history import Changes, History
from manager.watch.selector import Selector
from manager.watch.watches import Watches

__all__ = ["Changes", "History", "Selector", "Watches"]
