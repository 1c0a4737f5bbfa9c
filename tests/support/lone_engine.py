"""A member that is alone, in this thread: its engine, its state machine, and snapshots that are written at once."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from raft import codec
from raft.api import Timing
from raft.applier import Applier
from raft.engine import events as ev
from raft.engine.engine import Engine
from raft.messages import Message
from raft.storage import state as storage
from raft.storage.snapshot import SnapshotWriter
from tests.support.managers import Notebook


def sync(descriptor: int) -> None:
    """Whatever os.fdatasync is just now."""
    os.fdatasync(descriptor)


class LoneEngine:
    def __init__(self, state: storage.State, timing: Timing) -> None:
        self.state = state
        self.notebook = Notebook()
        self.snapshots = 0
        self._applier = Applier(self.notebook)
        self._now = 1000.0
        self.engine = Engine(state, timing, self, Random(1), lambda: self._now)
        self.turn_until(lambda: self._leads)

    def turn_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if condition():
                return
            self.engine.step(block=False)
            self._now += 0.01
        raise AssertionError("it never came")

    @property
    def _leads(self) -> bool:
        return self._applier.index >= self.state.journal.entries[-1].idx > 1

    def write(self, count: int, size: int = 20) -> None:
        done = len(self.notebook.applied)
        for number in range(done + 1, done + count + 1):
            command = b"%d" % number
            self.engine.post(ev.Propose(command, codec.encode_proposal(command, command.ljust(size, b"."))))
        self.turn_until(lambda: len(self.notebook.applied) >= done + count)

    def rotate(self, unlock_key: bytes | None = None) -> None:
        finished: list[bool] = []
        self.engine.post(ev.RotateKey(unlock_key, lambda: finished.append(True)))
        self.turn_until(lambda: bool(finished))

    def close(self) -> None:
        self.engine.close()

    # -- from the engine

    def send(self, messages: list[tuple[str, Message]]) -> None:
        raise AssertionError("there is nobody to send to")

    def give(self, outputs: list[ev.Output]) -> None:
        for output in outputs:
            match output:
                case ev.Committed():
                    self._applier.committed(output)
                case ev.AppliedTo():
                    self._applier.index = output.index
                case ev.Restored():
                    self._applier.restore(output.snapshot)
                case ev.Freeze():
                    self._freeze(output)

    def _freeze(self, at: ev.Freeze) -> None:
        self.snapshots += 1
        state, encode = self._applier.freeze(at)
        path = self.state.folder / f"snapshot.{self.snapshots}"
        try:
            writer = SnapshotWriter(path, self.state.owner, self.state.keys.current, state)
            for chunk in encode():
                writer.write(chunk)
            writer.finish()
        except OSError:
            self.engine.post(ev.SnapshotReady(at.entry.idx, None))
        else:
            self.engine.post(ev.SnapshotReady(at.entry.idx, path))


def load(folder: Path, cluster_id: str, node_id: str, unlock_key: bytes = b"") -> storage.State:
    return storage.load(folder, cluster_id, node_id, sync, unlock_key)
