"""Frames: how bytes lie in a file so that what was torn by a crash can be told from what was damaged later.

A frame is written and synced as one. So a frame that begins after a bad one proves that the bad one was once whole:
damage. A bad last one is torn if it is cut short or if what it has of some sector is zero (it never reached the disk;
etcd's wal/decoder.go judges likewise); otherwise it is damage too. A frame's first and last byte are never zero, so one
flipped bit never looks like a sector that was not written.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEADER = struct.Struct("<4sIII")  # magic, length, checksum of the payload, checksum of the three before
_MAGIC = b"\xf7PSJ"
_END = b"\xf7"
_SECTOR = 512
MAX_FRAME = 64 << 20
"""Bytes of payload. Nothing longer is written, and nothing longer is ever read into memory."""

Data = bytes | mmap.mmap


def map_file(path: Path) -> Data:
    """The file's bytes, none of them read yet. Raises OSError."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Torn(Exception):
    """The bytes from `offset` on were never completely written."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Damaged(Exception):
    """The bytes at `offset` were once whole."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def frame(payload: bytes) -> bytes:
    assert len(payload) <= MAX_FRAME
    head = _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload), 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head)) + payload + _END


def read_frames(data: Data, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """(offset, payload) of each frame. Raises Torn or Damaged where it has to end early."""
    offset = start
    while offset < len(data):
        payload = _payload_at(data, offset)
        if payload is None:
            raise _verdict(data, offset)
        yield offset, payload
        offset += _size(len(payload))


def _size(length: int) -> int:
    return _HEADER.size + length + len(_END)


def _length_at(data: Data, offset: int) -> int | None:
    """Of the payload of the frame that begins there, if one does."""
    head = data[offset : offset + _HEADER.size]
    if len(head) < _HEADER.size:
        return None
    magic, length, _, check = _HEADER.unpack(head)
    if magic != _MAGIC or zlib.crc32(head[:-4]) != check or length > MAX_FRAME:
        return None
    return int(length)


def _payload_at(data: Data, offset: int) -> bytes | None:
    length = _length_at(data, offset)
    if length is None or offset + _size(length) > len(data):
        return None
    start = offset + _HEADER.size
    payload = data[start : start + length]
    checksum = _HEADER.unpack(data[offset:start])[2]
    whole = zlib.crc32(payload) == checksum and data[start + length : start + length + 1] == _END
    return payload if whole else None


def _verdict(data: Data, offset: int) -> Torn | Damaged:
    at = data.find(_MAGIC, offset + 1)
    while at >= 0:
        if _length_at(data, at) is not None:
            return Damaged(offset)
        at = data.find(_MAGIC, at + 1)
    length = _length_at(data, offset)
    end = len(data) if length is None else offset + _size(length)
    if end > len(data) or len(data) - offset < _HEADER.size:
        return Torn(offset)
    return Torn(offset) if _has_zero_sector(data, offset, end) else Damaged(offset)


def _has_zero_sector(data: Data, start: int, end: int) -> bool:
    while start < end:
        stop = min(end, (start // _SECTOR + 1) * _SECTOR)
        if not any(data[start:stop]):
            return True
        start = stop
    return False
