"""What the values of an answer are made of."""

from collections.abc import Mapping
from typing import Any

from core.model import Meta
from pyswarm.engineapi.wire.times import show_time

Json = dict[str, Any]


def some(**values: Any) -> Json:
    """Those of `values` that are not zero or empty: Go's `omitempty` on a value."""
    return {key: value for key, value in values.items() if value}


def given(**values: Any) -> Json:
    """Those of `values` that are not None: Go's `omitempty` on a pointer."""
    return {key: value for key, value in values.items() if value is not None}


def ordered(values: Mapping[str, str]) -> Json:
    """Labels and options, by their keys: so Go writes a map."""
    return dict(sorted(values.items()))


def show_meta(object_id: str, meta: Meta) -> Json:
    """The members that every object begins with."""
    return {
        "ID": object_id,
        "Version": {"Index": meta.version},
        "CreatedAt": show_time(meta.created_at),
        "UpdatedAt": show_time(meta.updated_at),
    }
