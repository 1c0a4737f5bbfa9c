"""The cluster's settings."""

from core.clock import MILLISECOND, SECOND
from core.errors import InvalidArgument
from core.model import ClusterSpec
from manager.control.validation.checks import check_count, check_duration, check_size
from manager.control.validation.task import validate_log_driver

MIN_HEARTBEAT = 100 * MILLISECOND
MAX_HEARTBEAT = 3600 * SECOND
MIN_CERT_EXPIRY = 3600 * SECOND
MAX_OLD_SNAPSHOTS = 100


def validate_cluster_spec(spec: ClusterSpec) -> None:
    """Raises InvalidArgument, or ResourceExhausted if it is too large."""
    if spec.name != "default":
        raise InvalidArgument(f"a cluster cannot be called {spec.name!r}: its name is always 'default'")
    check_duration("the heartbeat period", spec.heartbeat_period, MIN_HEARTBEAT)
    if spec.heartbeat_period > MAX_HEARTBEAT:
        raise InvalidArgument("the heartbeat period must be at most 1h0m0s: a lost node would go unnoticed")
    check_duration("the node certificates' expiry", spec.node_cert_expiry, MIN_CERT_EXPIRY)
    if spec.snapshot_interval < 1:
        raise InvalidArgument("the snapshot interval must be at least 1 log entry")
    check_count("the number of older snapshots", spec.keep_old_snapshots)
    if spec.keep_old_snapshots > MAX_OLD_SNAPSHOTS:
        raise InvalidArgument(
            f"at most {MAX_OLD_SNAPSHOTS} older snapshots can be kept: each is as large as all that the managers hold"
        )
    if spec.log_driver is not None:
        validate_log_driver(spec.log_driver)
    check_size(spec)
