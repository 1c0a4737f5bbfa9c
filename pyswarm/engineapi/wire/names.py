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

# The model knows more of these than the cluster can do yet; what is not listed is refused.
PROTOCOLS = _by_word([Protocol.TCP])
ENDPOINT_MODES = _by_word([EndpointMode.VIP])
FAILURE_ACTIONS = _by_word([FailureAction.PAUSE])
