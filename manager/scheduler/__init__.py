"""Which node runs which task. Pure."""

from manager.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
