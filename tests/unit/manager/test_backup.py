"""The backup file: what it lets through, and to whom."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FailedPrecondition, InvalidArgument
from core.model import Service, ServiceSpec
from manager.backup import MIN_PASSPHRASE, read_copy, sealed, write_copy
from manager.backup.sealed import CHUNK, VERSION, seal, unseal
from manager.store import Store
from tests.support.small_cluster import SmallCluster

PASSPHRASE = "correct horse battery staple"
HEADER = 32


@pytest.fixture(autouse=True, scope="module")
def cheap() -> Iterator[None]:
    """The test of the real cost is that of the command."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sealed, "_SCRYPT_N", 2)
        yield


def sealed_bytes(plain: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return b"".join(seal([plain], passphrase))


def opened(data: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return b"".join(unseal(BytesIO(data), passphrase))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_what_was_sealed_is_opened_whole(size: int) -> None:
    plain = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    data = sealed_bytes(plain)
    assert opened(data) == plain
    assert plain[:64] not in data or size < 64  # one byte may well occur among random ones
    assert data != sealed_bytes(plain)


@given(pieces=st.lists(st.binary(max_size=3 * CHUNK // 2), max_size=5))
def test_how_the_stream_was_cut_does_not_matter(pieces: list[bytes]) -> None:
    assert opened(b"".join(seal(pieces, PASSPHRASE))) == b"".join(pieces)


def test_it_is_sealed_as_it_comes() -> None:
    """Bounded memory: nothing is read ahead but one chunk."""
    taken = 0

    def plain() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * CHUNK

    stream = seal(plain(), PASSPHRASE)
    next(stream), next(stream)
    assert taken == 2


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(where: float, bit: int) -> None:
    data = bytearray(DATA)
    data[int(where * len(data))] ^= 1 << bit
    with pytest.raises((InvalidArgument, FailedPrecondition)):
        opened(bytes(data))


@given(where=st.floats(0, 1, exclude_max=True))
def test_it_cannot_be_cut_off(where: float) -> None:
    with pytest.raises(InvalidArgument):
        opened(DATA[: int(where * len(DATA))])


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_it_cannot_be_cut_off_between_two_chunks(chunks: int) -> None:
    with pytest.raises(InvalidArgument, match="damaged or cut off"):
        opened(DATA[: HEADER + chunks * (CHUNK + 16)])


def test_its_chunks_cannot_be_moved() -> None:
    one, two = (slice(HEADER + n * (CHUNK + 16), HEADER + (n + 1) * (CHUNK + 16)) for n in (1, 2))
    data = bytearray(DATA)
    data[one], data[two] = data[two], data[one]
    with pytest.raises(InvalidArgument, match=f"damaged or cut off after byte {one.start}"):
        opened(bytes(data))


def test_nothing_may_follow_it() -> None:
    with pytest.raises(InvalidArgument):
        opened(DATA + b"x")


def test_a_wrong_passphrase_is_said() -> None:
    with pytest.raises(InvalidArgument, match="the passphrase is wrong"):
        opened(DATA, "another passphrase")


def test_a_short_passphrase_seals_nothing() -> None:
    with pytest.raises(InvalidArgument, match=f"at least {MIN_PASSPHRASE} characters"):
        next(seal([b"plain"], "short"))


@pytest.mark.parametrize("data", [b"", b"pyswarm", b"#!/bin/sh\n" * 100])
def test_another_file_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(InvalidArgument, match="no backup of pyswarm"):
        opened(data)


def test_a_newer_format_is_said() -> None:
    data = DATA.replace(b"backup\n" + bytes([VERSION]), b"backup\n" + bytes([VERSION + 1]), 1)
    with pytest.raises(FailedPrecondition, match=f"format {VERSION + 1}.*reads {VERSION}.*the version that wrote it"):
        opened(data)


def test_a_copy_is_of_the_moment_it_was_asked_for() -> None:
    cluster = SmallCluster(nodes=3)
    cluster.write(lambda tx: tx.create(Service(id="web", spec=ServiceSpec("web", replicas=4))))
    before = b"".join(cluster.store.freeze()())
    index = cluster.store.index
    stream = write_copy(cluster.store, PASSPHRASE)
    cluster.write(lambda tx: tx.create(Service(id="late", spec=ServiceSpec("late"))))
    copy = read_copy(BytesIO(b"".join(stream)), PASSPHRASE)
    assert (b"".join(copy.freeze()()), copy.index) == (before, index)


def test_a_copy_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="holds no cluster"):
        read_copy(BytesIO(b"".join(write_copy(Store(), PASSPHRASE))), PASSPHRASE)
    with pytest.raises(InvalidArgument, match="is empty"):
        read_copy(BytesIO(sealed_bytes(b"")), PASSPHRASE)


with pytest.MonkeyPatch.context() as _patched:
    _patched.setattr(sealed, "_SCRYPT_N", 2)
    DATA = sealed_bytes(bytes(range(256)) * (4 * CHUNK // 256) + b"end")
