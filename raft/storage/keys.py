"""The data keys of one state folder, in a file of their own beside what they seal.

Each file of the log names the key it is sealed with, so a new one can be taken while older files are still there. The
key file itself lies in clear (0600), or sealed with an unlock key that is given from outside and never written down.
"""

import os
from pathlib import Path

from google.protobuf.message import DecodeError

from core.errors import InvalidArgument
from core.files import replace_private_file
from proto import raft_pb2 as pb
from raft.storage.errors import DamagedState, Locked, reading, writing
from raft.storage.frame import Damaged, Torn, frame, read_frames
from raft.storage.seal import KEY_SIZE, DataKey, Unsealable

KEY_FILE = "data-key"
_PLACE = b"pyswarm data keys"


class KeyRing:
    """The first key seals; all open. Loops and threads may read it; only the log's own thread changes it."""

    def __init__(self, path: Path, keys: list[bytes], unlock_key: bytes) -> None:
        self._path = path
        self._take(keys, unlock_key)

    @property
    def locked(self) -> bool:
        """Whether it opens only with an unlock key."""
        return bool(self._unlock_key)

    @property
    def count(self) -> int:
        return len(self._secrets)

    @property
    def rotating(self) -> bool:
        """Whether something on disk may still be sealed with an earlier key."""
        return self.count > 1

    def holds(self, key_id: bytes) -> bool:
        return any(key.id == key_id for key in self._keys)

    def find(self, key_id: bytes, path: Path) -> DataKey:
        """Raises DamagedState if none of ours sealed `path`."""
        for key in self._keys:
            if key.id == key_id:
                return key
        raise DamagedState(path, None, f"it was sealed with a data key that {self._path} does not hold")

    def rotate(self, unlock_key: bytes | None = None) -> None:
        """Draws a key that seals from now on; earlier ones still open. The unlock key becomes `unlock_key`, if given.

        On disk when it returns. Raises StorageFailed, and InvalidArgument for an unlock key of another length.
        """
        self._write([os.urandom(KEY_SIZE), *self._secrets], self._unlock_key if unlock_key is None else unlock_key)

    def retire(self) -> None:
        """Forgets all earlier keys: nothing may be sealed with them any more. Raises StorageFailed."""
        self._write(self._secrets[:1], self._unlock_key)

    def _write(self, keys: list[bytes], unlock_key: bytes) -> None:
        file = pb.RaftKeyFile(keys=keys)
        if unlock_key:
            check_unlock_key(unlock_key)
            file = pb.RaftKeyFile(locked=DataKey(unlock_key).seal(file.SerializeToString(), _PLACE))
        with writing(self._path):
            replace_private_file(self._path, frame(file.SerializeToString()))
        self._take(keys, unlock_key)

    def _take(self, keys: list[bytes], unlock_key: bytes) -> None:
        self._unlock_key = unlock_key
        self._secrets = keys
        self._keys = tuple(map(DataKey, keys))
        self.current = self._keys[0]


def check_unlock_key(unlock_key: bytes) -> None:
    """Raises InvalidArgument unless it may be one; empty means that there is none."""
    if len(unlock_key) not in (0, KEY_SIZE):
        raise InvalidArgument(f"an unlock key has {KEY_SIZE} bytes, not {len(unlock_key)}")


def create_keys(folder: Path, unlock_key: bytes = b"") -> KeyRing:
    """Raises StorageFailed, InvalidArgument."""
    ring = KeyRing(folder / KEY_FILE, [os.urandom(KEY_SIZE)], unlock_key)
    ring.retire()
    return ring


def load_keys(folder: Path, unlock_key: bytes = b"") -> KeyRing:
    """Raises Locked, DamagedState, UnreadableState. Changes nothing."""
    path = folder / KEY_FILE
    check_unlock_key(unlock_key)
    if not path.exists():
        raise DamagedState(path, None, "it is missing, and without it the log cannot be read")
    with reading(path):
        data = path.read_bytes()
    file = _parse(path, data)
    if file.locked:
        keys = _unlock(path, file.locked, unlock_key)
    else:
        keys, unlock_key = list(file.keys), b""
    if not keys or any(len(key) != KEY_SIZE for key in keys):
        raise DamagedState(path, None, "it does not hold data keys")
    return KeyRing(path, keys, unlock_key)


def _unlock(path: Path, locked: bytes, unlock_key: bytes) -> list[bytes]:
    if not unlock_key:
        raise Locked(f"{path} is locked: this manager's log is read only once the cluster's unlock key is given")
    try:
        return list(pb.RaftKeyFile.FromString(DataKey(unlock_key).open(locked, _PLACE)).keys)
    except (Unsealable, DecodeError):
        raise Locked(f"{path} is locked, and with another unlock key than the one given") from None


def _parse(path: Path, data: bytes) -> pb.RaftKeyFile:
    try:
        ((_, payload),) = read_frames(data)
        return pb.RaftKeyFile.FromString(payload)
    except (Torn, Damaged, DecodeError, ValueError) as error:
        raise DamagedState(path, None, "the data keys are damaged") from error
