"""What a manager's log is locked with, when that may be one of several: a change of it was cut short."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from raft import Locked

T = TypeVar("T")


def with_log_key(keys: Sequence[bytes], use: Callable[[bytes], T]) -> T:
    """What `use` returns for the first of `keys` (one at least) that opens the log. Raises Locked if none does."""
    for key in keys[:-1]:
        try:
            return use(key)
        except Locked:
            continue
    return use(keys[-1])
