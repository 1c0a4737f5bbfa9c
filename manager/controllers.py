"""All controllers of a reign, in the order in which they see each other's writes."""

from collections.abc import Callable, Sequence

from core.ids import IdSource
from manager.allocator import Allocator
from manager.ca import RootRotator
from manager.dispatcher import Orphans
from manager.orchestrator import (
    ConstraintEnforcer,
    Controller,
    GlobalOrchestrator,
    JobOrchestrator,
    Reaper,
    Rebalancer,
    ReplicatedOrchestrator,
    Starter,
    UpdateSupervisor,
    VersionReaper,
)
from manager.scheduler import Scheduler


def new_controllers(ids: IdSource, is_suspect: Callable[[str], bool]) -> Sequence[Controller]:
    """`is_suspect` tells of a node's id whether the node's connection is broken just now."""
    return (
        Orphans(),
        RootRotator(),
        ConstraintEnforcer(),
        ReplicatedOrchestrator(ids),
        GlobalOrchestrator(ids),
        JobOrchestrator(ids),
        UpdateSupervisor(ids),
        Rebalancer(ids),
        Starter(),
        Allocator(),
        Scheduler(is_suspect),
        Reaper(),
        VersionReaper(),
    )
