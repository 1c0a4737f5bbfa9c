"""What agents say of their own nodes, on its way into the store: however often they say it, one write at a time."""

import asyncio
from collections.abc import Callable
from functools import partial

from core.logs import logger
from core.model import Node
from manager.dispatcher import nodes
from manager.dispatcher.writes import WriteQueue
from manager.store import Store

log = logger("manager.dispatcher")


class NodeWriter:
    """For one matter that nodes speak of: what is said newer takes the place of what is not being written yet."""

    def __init__(self, store: Store, writes: WriteQueue) -> None:
        self._store = store
        self._writes = writes
        self._writing: set[str] = set()
        self._waiting: dict[str, Callable[[Node], Node]] = {}

    def say(self, node_id: str, change: Callable[[Node], Node]) -> None:
        """Writes what the pure `change` makes of the node, unless the store has it already. What cannot be written is
        given up: the node says it again in its next session."""
        self._waiting[node_id] = change
        if node_id not in self._writing:
            self._write(node_id)

    def _write(self, node_id: str) -> None:
        change = self._waiting.pop(node_id, None)
        node = self._store.node(node_id)
        if change is None or node is None or change(node) == node:
            return
        self._writing.add(node_id)
        write = self._writes.submit(partial(nodes.update, node_id=node_id, change=change))
        write.add_done_callback(partial(self._written, node_id))

    def _written(self, node_id: str, write: "asyncio.Future[None]") -> None:
        self._writing.discard(node_id)
        error = write.exception()
        if error is not None:
            log.warning("what a node said was not written", node=node_id, error=str(error))
        self._write(node_id)
