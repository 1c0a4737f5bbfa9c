"""The JSON of objects, made once: commands that wait ask for the same objects many times a second."""

from collections.abc import Callable
from typing import NamedTuple

from core.model import Node, Service, Task
from pyswarm.engineapi.answer import as_json
from pyswarm.engineapi.wire.json_types import Json

MAX_BYTES = 32 << 20
"""Of JSON that is kept; what was not asked for the longest goes first."""


class _Kept(NamedTuple):
    item: Service | Node | Task
    context: object
    data: bytes


class Shown:
    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: dict[tuple[str, str], _Kept] = {}

    def of(self, item: Service | Node | Task, make: Callable[[], Json], way: str = "", context: object = None) -> bytes:
        """What `make` gives, as JSON: kept for this very object, shown in this `way`, where `context` is the same."""
        key = (way, item.id)
        kept = self._kept.pop(key, None)
        if kept is not None:
            if (kept.item is item or kept.item == item) and kept.context == context:
                self._kept[key] = kept
                return kept.data
            self._bytes -= len(kept.data)
        data = as_json(make())
        self._kept[key] = _Kept(item, context, data)
        self._bytes += len(data)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._kept.pop(next(iter(self._kept))).data)
        return data
