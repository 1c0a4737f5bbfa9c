"""The words that Docker's API uses for the model's enumerations."""

from collections.abc import Iterable
from enum import IntEnum
from typing import TypeVar

from core.model import (
    Availability,
    EndpointMode,
    FailureAction,
    MountType,
    Protocol,
    PublishMode,
    RestartCondition,
    Role,
    UpdateOrder,
)

E = TypeVar("E", bound=IntEnum)


def word(member: IntEnum) -> str:
    """`start-first` for START_FIRST."""
    return member.name.lower().replace("_", "-")


def _by_word(members: Iterable[E]) -> dict[str, E]:
    return {word(member): member for member in members}


AVAILABILITIES = _by_word(Availability)
ROLES = _by_word(Role)
MOUNT_TYPES = _by_word(MountType)
PUBLISH_MODES = _by_word(PublishMode)
RESTART_CONDITIONS = _by_word(RestartCondition)
UPDATE_ORDERS = _by_word(UpdateOrder)
PROTOCOLS = _by_word(Protocol)
ENDPOINT_MODES = _by_word(EndpointMode)
FAILURE_ACTIONS = _by_word(FailureAction)
