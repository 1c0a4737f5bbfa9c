"""The cluster: its settings (Docker's swarm spec), what an update replaces, and what it shows of itself."""

from dataclasses import replace

from core.errors import InvalidArgument
from core.model import Cluster, ClusterSpec
from manager.control.api import Rotations
from pyswarm.engineapi.wire.fields import UINT64_MAX, Fields
from pyswarm.engineapi.wire.json_types import Json, given, ordered, show_meta, some
from pyswarm.engineapi.wire.log_driver import read_log_driver, show_log_driver
from pyswarm.engineapi.wire.tls import show_cluster_tls

_SUBNET_SIZE = 24
_DATA_PATH_PORT = 4789
_RAFT = {"LogEntriesForSlowFollowers": 500, "ElectionTick": 10, "HeartbeatTick": 1}
"""Settings of Docker's Raft that pyswarm's has not: shown as Docker's defaults, refused with any other value."""


def read_update(body: object, base: ClusterSpec) -> tuple[ClusterSpec, Rotations]:
    """`base` with what `body` states, where what it leaves out or gives as zero stays; and the root to change to."""
    fields = Fields(body)
    spec, root = read_cluster_fields(fields, base)
    fields.finish()
    return spec, root


def read_cluster_fields(fields: Fields, base: ClusterSpec) -> tuple[ClusterSpec, Rotations]:
    """As `read_update`, but that the caller has to `finish` the fields."""
    spec = replace(base, name=fields.text("Name") or base.name, labels=fields.labels("Labels") or base.labels)
    orchestration, dispatcher = fields.child("Orchestration"), fields.child("Dispatcher")
    raft, ca = fields.child("Raft"), fields.child("CAConfig")
    defaults, encryption = fields.child("TaskDefaults"), fields.child("EncryptionConfig")
    if orchestration is not None:
        limit = orchestration.maybe_integer("TaskHistoryRetentionLimit", low=-(2**31), high=2**31 - 1)
        spec = replace(spec, task_history_limit=base.task_history_limit if limit is None else limit)
    if dispatcher is not None:
        spec = replace(spec, heartbeat_period=dispatcher.integer("HeartbeatPeriod") or base.heartbeat_period)
    if raft is not None:
        older = raft.maybe_integer("KeepOldSnapshots")
        spec = replace(
            spec,
            snapshot_interval=raft.integer("SnapshotInterval") or base.snapshot_interval,
            keep_old_snapshots=base.keep_old_snapshots if older is None else older,
        )
        for key, ours in _RAFT.items():
            if raft.integer(key) not in (0, ours):
                raise InvalidArgument(f"{raft.name(key)} can not be set: pyswarm's Raft has no such setting")
    if defaults is not None:
        spec = replace(spec, log_driver=read_log_driver(defaults.child("LogDriver")) or base.log_driver)
    if encryption is not None:
        spec = replace(spec, auto_lock=encryption.flag("AutoLockManagers"))
    return (spec, Rotations()) if ca is None else _read_authority(ca, spec)


def _read_authority(ca: Fields, base: ClusterSpec) -> tuple[ClusterSpec, Rotations]:
    if ca.children("ExternalCAs"):
        raise InvalidArgument(
            f"{ca.name('ExternalCAs')} can not be set: pyswarm's managers sign certificates themselves; a root of your "
            "own is given to them with its key"
        )
    expiry = ca.integer("NodeCertExpiry") or base.node_cert_expiry
    forced = ca.integer("ForceRotate", high=UINT64_MAX) or base.force_rotate
    cert, key = ca.text("SigningCACert").strip(), ca.text("SigningCAKey").strip()
    spec = replace(base, node_cert_expiry=expiry, force_rotate=forced)
    return spec, Rotations(root_cert=cert.encode(), root_key=key.encode())


def show_cluster_spec(spec: ClusterSpec) -> Json:
    return {
        "Name": spec.name,
        "Labels": ordered(spec.labels),
        "Orchestration": {"TaskHistoryRetentionLimit": spec.task_history_limit},
        "Raft": {
            "SnapshotInterval": spec.snapshot_interval,
            "KeepOldSnapshots": spec.keep_old_snapshots,
            **_RAFT,
        },
        "Dispatcher": {"HeartbeatPeriod": spec.heartbeat_period},
        "CAConfig": {"NodeCertExpiry": spec.node_cert_expiry, **some(ForceRotate=spec.force_rotate)},
        "TaskDefaults": given(LogDriver=spec.log_driver and show_log_driver(spec.log_driver)),
        "EncryptionConfig": {"AutoLockManagers": spec.auto_lock},
    }


def show_cluster(cluster: Cluster) -> Json:
    """Without the join tokens: `docker info` shows it to everyone."""
    return {
        **show_meta(cluster.id, cluster.meta),
        "Spec": show_cluster_spec(cluster.spec),
        "TLSInfo": show_cluster_tls(cluster.root_ca),
        "RootRotationInProgress": cluster.root_ca.rotation is not None,
        "DefaultAddrPool": None,
        "SubnetSize": _SUBNET_SIZE,
        "DataPathPort": _DATA_PATH_PORT,
    }


def show_swarm(cluster: Cluster) -> Json:
    """The cluster with its join tokens."""
    tokens = {"Worker": cluster.root_ca.worker_token, "Manager": cluster.root_ca.manager_token}
    return {**show_cluster(cluster), "JoinTokens": tokens}
