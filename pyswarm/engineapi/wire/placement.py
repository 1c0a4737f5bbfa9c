"""Where tasks may run."""

from core.errors import InvalidArgument
from core.model import Placement, Platform
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, some


def read_placement(fields: Fields | None) -> Placement | None:
    if fields is None:
        return None
    return Placement(
        constraints=fields.texts("Constraints"),
        platforms=tuple(
            Platform(architecture=platform.text("Architecture"), os=platform.text("OS"))
            for platform in fields.children("Platforms")
        ),
        preferences=tuple(_read_preference(preference) for preference in fields.children("Preferences")),
        max_replicas=fields.integer("MaxReplicas"),
    )


def show_placement(placement: Placement) -> Json:
    return some(
        Constraints=list(placement.constraints),
        Preferences=[{"Spread": {"SpreadDescriptor": label}} for label in placement.preferences],
        MaxReplicas=placement.max_replicas,
        Platforms=[show_platform(platform) for platform in placement.platforms],
    )


def show_platform(platform: Platform) -> Json:
    return some(Architecture=platform.architecture, OS=platform.os)


def _read_preference(fields: Fields) -> str:
    spread = fields.child("Spread")
    if spread is None:
        raise InvalidArgument(f"{fields.name('Spread')} must be given: there is no other preference")
    return spread.text("SpreadDescriptor")
