"""How a data key is replaced while the member runs.

A new key is written beside the old one and seals from then on; a snapshot is forced, so that only the log still needs
the old one; then the log is written anew, and the old key forgotten. That more than one key is held is all there is to
know of where it stands, so a member that starts again goes on where it stopped.
"""

from collections.abc import Callable

from raft.engine.core import Core
from raft.storage.state import State

_RETRY = 5.0
"""Seconds after a snapshot that was not written, as on a full disk, or was overtaken by one with the old key."""


class Rotation:
    def __init__(self, core: Core, state: State) -> None:
        self._core = core
        self._state = state
        self._not_before = 0.0
        self._waiting: list[Callable[[], None]] = []

    def begin(self, unlock_key: bytes | None, done: Callable[[], None]) -> None:
        """`done` is called once nothing on disk is sealed with an earlier key. Raises StorageFailed."""
        self._state.keys.rotate(unlock_key)
        self._waiting.append(done)
        self._not_before = 0.0

    def turn(self, now: float) -> None:
        """Does what can be done at `now`, in seconds of the engine's clock. Raises StorageFailed."""
        if not self._state.keys.rotating or self._core.freezing:
            return
        if not self._core.can_freeze or self._state.has_current_snapshot():
            self._state.retire_keys()
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done()
        elif now >= self._not_before:
            self._not_before = now + _RETRY
            self._core.freeze()
