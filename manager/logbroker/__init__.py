"""Container logs, from the nodes that have them to the user who asked."""

from manager.logbroker.broker import LogBroker

__all__ = ["LogBroker"]
