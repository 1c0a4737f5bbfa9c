"""What a backup holds: the store as of one index, whole."""

import struct
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from core.errors import InvalidArgument
from manager.backup.sealed import seal, unseal
from manager.store import Store

_HEAD = struct.Struct(">Q")


def write_copy(store: Store, passphrase: str) -> Iterator[bytes]:
    """The bytes of a backup of `store` as it is now, whatever becomes of it while they are read, in any thread.

    Reading them raises InvalidArgument for a passphrase that is too short.
    """
    return seal(chain((_HEAD.pack(store.index),), store.freeze()()), passphrase)


def read_copy(file: BinaryIO, passphrase: str) -> Store:
    """The store that `file` holds. Raises what `unseal` raises, and InvalidArgument for what is no cluster's."""
    plain = unseal(file, passphrase)
    first = next(plain)
    if len(first) < _HEAD.size:
        raise InvalidArgument("the backup is empty")
    store = Store()
    store.restore(_HEAD.unpack_from(first)[0], chain((first[_HEAD.size :],), plain))
    if store.cluster is None:
        raise InvalidArgument("the backup holds no cluster")
    return store
