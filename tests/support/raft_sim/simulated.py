"""Puts a simulated world in place of time, chance, threads and network while it lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from unittest import mock

from raft.api import Timing
from raft.engine import core as core_module
from raft.storage.snapshot import install_file
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.seams import (
    RUNNING,
    SimulatedLinks,
    SimulatedMailbox,
    SimulatedServicer,
    SimulatedThread,
    send_snapshot,
)
from tests.support.raft_sim.stock import UNHOOKED, StockMember
from tests.support.raft_sim.world import TIMING, World

SMALL_BATCH = 300
LARGE_BATCH = core_module._BATCH_BYTES


@dataclass
class _Wrapped:
    """The engine's `install_file`, after which the power may fail."""

    world: World
    install: Callable[[Path, Path], None]

    def __call__(self, temporary: Path, path: Path) -> None:
        self.install(temporary, path)
        RUNNING.get().disk.installed(path)
        if self.world.rng.random() < self.world.crash_in_compaction:
            RUNNING.get().disk.cut_power("crash in compaction")


@contextmanager
def simulated(
    seed: int,
    folder: Path,
    size: int,
    batch: int = LARGE_BATCH,
    timing: Timing = TIMING,
    kind: type[Member] | type[StockMember] = Member,
) -> Iterator[World]:
    """A world of `size` members that have joined; time, chance, threads and network are the world's while it lasts."""
    world = World(seed, folder, timing)
    dice = SimpleNamespace(randbits=world.rng.getrandbits, token_bytes=world.rng.randbytes, random=world.rng.random)
    with (
        world.loop.running(),
        mock.patch.multiple("pysyncobj.syncobj", monotonicTime=world.clock, random=dice, **UNHOOKED),
        mock.patch.multiple(
            "raft.consensus",
            EngineThread=SimulatedThread,
            Mailbox=SimulatedMailbox,
            Links=SimulatedLinks,
            Servicer=SimulatedServicer,
            Random=lambda: Random(world.rng.random()),
        ),
        mock.patch("raft.engine.core._BATCH_BYTES", batch),
        mock.patch("raft.snapshots.send_snapshot", send_snapshot),
        mock.patch("raft.members.probe", _answers),
        mock.patch("raft.thread.monotonic", world.clock),
        mock.patch("raft.engine.snapshots.install_file", _Wrapped(world, install_file)),
        mock.patch("raft.proposals.secrets", dice),
        mock.patch("raft.storage.loader.secrets", dice),
        mock.patch("os.fsync", _synced),
        mock.patch("time.time", world.wall_clock),
        mock.patch("time.time_ns", world.wall_clock_ns),
    ):
        try:
            kind.found(world, size)
            yield world
        finally:
            for member in world.members.values():
                member.crash()
            world.loop.run(0)


def _synced(_: int) -> None:
    """Of snapshots and folders: at once. The journal's syncs are the disk's."""


async def _answers(*_: object) -> None:
    """Whoever asks to join can be dialled back."""
