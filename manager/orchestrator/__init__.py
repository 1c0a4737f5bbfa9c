"""Services to tasks: how many there shall be, where one has died, and how the new take the old one's place. Pure.

Nothing a controller knows is hidden: which slots exist, how often one was restarted and which delay runs is read off
the task objects that the store keeps, so that a new leader goes on exactly where the last one stood.
"""

from manager.orchestrator.controller import Controller
from manager.orchestrator.enforcer import ConstraintEnforcer
from manager.orchestrator.global_services import GlobalOrchestrator
from manager.orchestrator.jobs import JobOrchestrator
from manager.orchestrator.reaper import Reaper
from manager.orchestrator.rebalance import Rebalancer
from manager.orchestrator.replicated import ReplicatedOrchestrator
from manager.orchestrator.starter import Starter
from manager.orchestrator.update import UpdateSupervisor
from manager.orchestrator.versions import VersionReaper

__all__ = [
    "ConstraintEnforcer",
    "Controller",
    "GlobalOrchestrator",
    "JobOrchestrator",
    "Reaper",
    "Rebalancer",
    "ReplicatedOrchestrator",
    "Starter",
    "UpdateSupervisor",
    "VersionReaper",
]
