"""How each file begins: whose it is, in clear, and which key seals the rest."""

import os
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from core.errors import FailedPrecondition
from proto import raft_pb2 as pb
from raft.storage.errors import DamagedState, ForeignState
from raft.storage.seal import DataKey

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose log it is."""

    cluster_id: str
    node_id: str
    incarnation: int


def new_header(owner: Owner, key: DataKey, sequence: int = 0) -> pb.RaftFileHeader:
    return pb.RaftFileHeader(
        format=FORMAT,
        cluster_id=owner.cluster_id,
        node_id=owner.node_id,
        incarnation=owner.incarnation,
        sequence=sequence,
        key_id=key.id,
        file_id=os.urandom(16),
    )


def read_header(path: Path, payload: bytes) -> pb.RaftFileHeader:
    """Raises DamagedState, or FailedPrecondition for a file of another version."""
    try:
        header = pb.RaftFileHeader.FromString(payload)
    except DecodeError as error:
        raise DamagedState(path, 0, "the file's header is not what was written there") from error
    if header.format != FORMAT:
        raise FailedPrecondition(
            f"{path} was written in format {header.format}, and this version of pyswarm reads {FORMAT}: "
            f"start the version that wrote it"
        )
    return header


def check_header(path: Path, payload: bytes, cluster_id: str, node_id: str) -> pb.RaftFileHeader:
    """Raises ForeignState, DamagedState, or FailedPrecondition for a file of another version."""
    header = read_header(path, payload)
    if header.cluster_id != cluster_id:
        raise ForeignState(path.parent, "cluster", header.cluster_id, cluster_id, node_id)
    if header.node_id != node_id:
        raise ForeignState(path.parent, "node", header.node_id, node_id, node_id)
    return header


def place(file_id: bytes, ordinal: int) -> bytes:
    """Where a sealed frame stands: it opens nowhere else."""
    return file_id + ordinal.to_bytes(8, "little")
