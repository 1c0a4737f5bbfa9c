"""Frames: how bytes lie in a file so that what was torn by a crash can be told from what was damaged later.

A frame is written and synced as one. So a frame that begins after a bad one proves that the bad one was once whole:
damage. A bad last one is torn if it is cut short or if what it has of some sector is zero (it never reached the disk;
etcd's wal/decoder.go judges likewise); otherwise it is damage too. A frame's first and last byte are never zero, so one
flipped bit never looks like a sector that was not written.
"""

import struct
import zlib
from collections.abc import Iterator

from raft.storage.file import FileBytes

_HEADER = struct.Struct("<4sIII")  # magic, length, checksum of the payload, checksum of the three before
_MAGIC = b"\xf7PSJ"
_END = b"\xf7"
_SECTOR = 512
MAX_FRAME = 64 << 20
"""Bytes of payload. Nothing longer is written, and nothing longer is ever read into memory."""

Data = bytes | FileBytes


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
    """(offset, payload) of each frame. Raises Torn or Damaged where it has to end early; OSError of a file."""
    offset = start
    while offset < len(data):
        payload = _payload_at(data, offset)
        if payload is None:
            raise _verdict(data, offset)
        yield offset, payload
        offset += _size(len(payload))


def _size(length: int) -> int:
    return _HEADER.size + length + len(_END)


def _head_at(data: Data, offset: int) -> tuple[int, int] | None:
    """Length and checksum of the payload of the frame that begins there, if one does."""
    head = data[offset : offset + _HEADER.size]
    if len(head) < _HEADER.size:
        return None
    magic, length, checksum, check = _HEADER.unpack(head)
    if magic != _MAGIC or zlib.crc32(head[:-4]) != check or length > MAX_FRAME:
        return None
    return length, checksum


def _payload_at(data: Data, offset: int) -> bytes | None:
    head = _head_at(data, offset)
    if head is None or offset + _size(head[0]) > len(data):
        return None
    length, checksum = head
    body = data[offset + _HEADER.size : offset + _size(length)]
    payload = body[:length]
    return payload if zlib.crc32(payload) == checksum and body[length:] == _END else None


def _verdict(data: Data, offset: int) -> Torn | Damaged:
    at = data.find(_MAGIC, offset + 1)
    while at >= 0:
        if _head_at(data, at) is not None:
            return Damaged(offset)
        at = data.find(_MAGIC, at + 1)
    head = _head_at(data, offset)
    end = len(data) if head is None else offset + _size(head[0])
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
