"""The state folder: what a node must still know after a reboot.

node.json        how it was told to be reached, and the managers it knew last
certificates/    its certificate, key and the cluster's root
raft/            a manager's log and snapshots
worker.db        the tasks it was given
mounts/          the secrets and configs of its tasks, mounted: in memory alone
relay.sock       where the node's relay is reached
lock             held by the one daemon that uses the folder

Whatever else lies there is somebody else's, and stays.
"""

import fcntl
import json
import os
import shutil
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

from core.errors import FailedPrecondition
from core.files import make_private_folder, replace_private_file, sync_folder

NODE_FILE = "node.json"
_LOCK = "lock"
_OURS = (NODE_FILE, f"{NODE_FILE}.new", "certificates", "raft", "raft.new", "relay.sock", "worker.db*", "mounts", _LOCK)
DEFAULT_STATE_DIR = Path("/var/lib/pyswarm")


@dataclass(frozen=True)
class Membership:
    """What a node was told at init or join. Addresses are as given, so that an interface is looked up again."""

    advertise: str
    listen: str
    managers: tuple[str, ...] = ()
    """Those that `join` was given."""


class StateDir:
    """Owns the folder from `__init__` to `close`. Raises FailedPrecondition if another daemon does, or if it is not one
    of pyswarm's."""

    def __init__(self, path: Path) -> None:
        _refuse_foreign(path)
        make_private_folder(path)
        self.path = path
        self.certificates = path / "certificates"
        self.raft = path / "raft"
        self.worker_database = path / "worker.db"
        self.mounts = path / "mounts"
        self.relay_socket = path / "relay.sock"
        self._node = path / NODE_FILE
        self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise FailedPrecondition(
                f"another pyswarm daemon uses {path}; stop it, or give another --state-dir"
            ) from None

    def load(self) -> Membership | None:
        """None if the node belongs to no cluster. Raises FailedPrecondition if the file is damaged."""
        try:
            fields = json.loads(self._node.read_text())
            return Membership(**{**fields, "managers": tuple(fields["managers"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise FailedPrecondition(
                f"{self._node} is damaged ({error}); `pyswarm leave --force` forgets the cluster, then join again"
            ) from None

    def save(self, membership: Membership) -> None:
        """Durable when it returns."""
        replace_private_file(self._node, json.dumps(asdict(membership)).encode())

    def wipe(self) -> None:
        """Forgets the cluster: everything of ours but the lock, and what is still mounted."""
        self._node.unlink(missing_ok=True)
        for entry in self.path.iterdir():
            if entry.name == _LOCK or not _is_ours(entry):
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=entry == self.mounts)  # what stays mounted is read-only
            else:
                entry.unlink(missing_ok=True)  # the relay and the database clear up after themselves, meanwhile
        sync_folder(self.path)

    def wipe_raft(self) -> None:
        if self.raft.exists():
            shutil.rmtree(self.raft)

    def close(self) -> None:
        os.close(self._lock)


def _is_ours(entry: Path) -> bool:
    return any(fnmatch(entry.name, pattern) for pattern in _OURS)


def _refuse_foreign(path: Path) -> None:
    """The folder is closed to all others, and a mistyped one may be everybody's."""
    if not path.is_dir() or (path / _LOCK).exists():
        return
    if any(not _is_ours(entry) and entry.name != "lost+found" for entry in path.iterdir()):
        raise FailedPrecondition(f"{path} holds other files: give the daemon a folder of its own with --state-dir")
