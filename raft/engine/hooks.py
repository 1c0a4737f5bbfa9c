"""The engine, held at the exact version whose inside we know.

Four names of its module are ours: how it makes its journal, its serializer, its clock, and what it calls pickle.
Nothing is ever pickled or unpickled: log entries are protobuf, and the engine only hands their bytes on.
"""

import time

import pysyncobj.syncobj as engine
from pysyncobj.monotonic import monotonic
from pysyncobj.version import VERSION

VERSION_NEEDED = "0.3.17"
MODULE_NAMES = ("createJournal", "pickle", "Serializer", "monotonicTime", "random")
CLASS_NAMES = (
    "_onTick",
    "_checkCommandsToApply",
    "_isLeader",
    "_getLeader",
    "_SyncObj__sendAppendEntries",
    "_SyncObj__doChangeCluster",
    "_SyncObj__loadDumpFile",
)
INSTANCE_NAMES = (
    "_SyncObj__raftElectionDeadline",
    "_SyncObj__newAppendEntriesTime",
    "_SyncObj__raftLog",
    "_SyncObj__serializer",
    "_poller",
    "_idToMethod",
)


class WrongEngine(RuntimeError):
    def __init__(self, what: str) -> None:
        super().__init__(
            f"pysyncobj {VERSION_NEEDED} is needed, and {what}: raft/ mends holes of that very version. "
            f"Reinstall pyswarm with the versions it asks for"
        )


class _CommandCodec:
    """In place of pickle: a log entry's bytes are the one argument of the one method."""

    @staticmethod
    def loads(command: bytes) -> tuple[int, tuple[bytes]]:
        return 0, (command,)

    @staticmethod
    def dumps(_: object) -> bytes:
        raise AssertionError("the engine does not encode commands")


def _clock() -> float:
    """Goes on while the machine sleeps: a leader that wakes up knows that its lease is over."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def install() -> None:
    """Checks the engine and hooks it. Raises WrongEngine."""
    if VERSION != VERSION_NEEDED:
        raise WrongEngine(f"{VERSION} is installed")
    missing = [name for name in MODULE_NAMES if not hasattr(engine, name)]
    missing += [name for name in CLASS_NAMES if not hasattr(engine.SyncObj, name)]
    if missing:
        raise WrongEngine(f"this one lacks {', '.join(missing)}")
    engine.createJournal = lambda journal: journal
    engine.Serializer = lambda serializer, *_: serializer
    engine.pickle = _CommandCodec
    if engine.monotonicTime is monotonic:  # a simulation has a clock of its own
        engine.monotonicTime = _clock


def check_instance(instance: object) -> None:
    """Raises WrongEngine if it does not look as we know it."""
    missing = [name for name in INSTANCE_NAMES if not hasattr(instance, name)]
    if missing:
        raise WrongEngine(f"this one lacks {', '.join(missing)}")
