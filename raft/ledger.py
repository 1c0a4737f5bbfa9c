"""Which requests have been applied, so that a retry is not applied again. Part of the replicated state."""

from collections import OrderedDict
from collections.abc import Iterable

REMEMBERED = 4096
"""Requests, newest first to stay. A retry comes within seconds; the number is the same on all members."""


class Ledger:
    def __init__(self, requests: Iterable[tuple[bytes, int]] = ()) -> None:
        self._indexes = OrderedDict(requests)

    def index_of(self, request_id: bytes) -> int | None:
        """Of the log entry that applied it."""
        return self._indexes.get(request_id)

    def applied(self, request_id: bytes, index: int) -> None:
        self._indexes[request_id] = index
        if len(self._indexes) > REMEMBERED:
            self._indexes.popitem(last=False)

    def requests(self) -> tuple[tuple[bytes, int], ...]:
        return tuple(self._indexes.items())
