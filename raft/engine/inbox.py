"""What comes into the engine's thread, from any other."""

import queue

from raft.engine import events as ev
from raft.messages import Append

_EVENTS_A_TURN = 1024
_BYTES_A_TURN = 1 << 20
"""Of entries. Who catches up takes them in turns, and is not silent meanwhile."""


class Inbox:
    def __init__(self) -> None:
        self._events: queue.SimpleQueue[ev.Event] = queue.SimpleQueue()

    def put(self, event: ev.Event) -> None:
        """From any thread."""
        self._events.put(event)

    def take(self, wait: float) -> list[ev.Event]:
        """What has come, but no more than one turn may hold; if nothing has, it waits so many seconds for something."""
        found: list[ev.Event] = []
        size = 0
        try:
            if wait > 0:
                found.append(self._events.get(timeout=wait))
            while len(found) < _EVENTS_A_TURN and size < _BYTES_A_TURN:
                event = self._events.get_nowait()
                found.append(event)
                if isinstance(event, ev.Received) and isinstance(event.message, Append):
                    size += event.message.size
        except queue.Empty:
            pass
        return found
