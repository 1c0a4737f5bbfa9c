"""Which node runs which task."""

from manager.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
