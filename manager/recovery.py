"""A cluster of one manager out of what is left of a cluster: that manager's own log, or a backup.

All of it runs while no manager does on this node. It blocks: not for the loop.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from core.errors import FailedPrecondition
from core.ids import new_id
from core.model import Availability, Cluster, Node, NodeStatus, Role, Task
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from identity.model import NodeIdentity
from manager.backup import read_copy
from manager.ca import first_manager, with_removed_node
from manager.control.nodes import forget_node
from manager.logkeys import with_log_key
from manager.store import Change, Store, Transaction, View, encode_entry
from raft import MAX_COMMAND, create_from_copy, force_new_cluster


def lead_alone(folder: Path, addr: str, identity: NodeIdentity, now: int, log_keys: Sequence[bytes] = (b"",)) -> None:
    """Makes this manager, whose log lies in `folder`, the only one of its cluster. It keeps everything else. One of
    `log_keys` opens the log.

    All or nothing. Raises FailedPrecondition where the log cannot be used, with what to do.
    """
    store = Store()

    def last_changes() -> list[bytes]:
        return _entries(_changes(store, lambda tx: without_other_managers(tx, identity.node_id, now)), now, store)

    with_log_key(log_keys, lambda key: force_new_cluster(folder, addr, identity, store, last_changes, key))


def without_other_managers(tx: Transaction, own_id: str, now: int) -> None:
    """The others are removed, and refused if they come back. They are not told to become workers: should they be alive
    after all, they would give up a log that may hold more than ours.

    Raises FailedPrecondition if the store does not know this manager.
    """
    own = tx.node(own_id)
    if own is None:
        raise FailedPrecondition(
            "the log on this node does not hold the cluster's state; use another manager, or a backup"
        )
    for node in list(tx.nodes()):
        if node.role is Role.MANAGER and node.id != own_id:
            forget_node(tx, node, now)
    if Role.WORKER in (own.role, own.spec.role):
        tx.update(replace(own, role=Role.MANAGER, spec=replace(own.spec, role=Role.MANAGER)))


def restore(file: BinaryIO, passphrase: str, folder: Path, addr: str, host: str, now: int) -> Credentials:
    """Makes a log in `folder`, which is not there yet, for a first manager of the cluster in `file`; its credentials.

    `addr` (host:port) is where it will be reached, and `host` its address. Raises what `read_copy` raises, and OSError.
    """
    store = read_copy(file, passphrase)
    key, csr = new_key_and_csr()
    node, issued = first_manager(_cluster(store), new_id(), csr, Availability.ACTIVE, now)
    node = replace(node, status=NodeStatus(addr=host))
    changes = _changes(store, lambda tx: with_first_node(tx, node, now))
    store.apply(store.index + 1, b"", encode_entry(changes, now, store.spec))
    credentials = Credentials(key, issued.certificate, issued.root)
    create_from_copy(folder, addr, credentials.identity, store.index, store.freeze()())
    return credentials


def with_first_node(tx: Transaction, first: Node, now: int) -> None:
    """A new cluster of `first` alone: settings, authority and services stay.

    The old nodes are refused as removed ones are, so that none answers to two clusters. Their tasks go with them, as a
    task is bound to its node for life; the services' new tasks are made anew.
    """
    cluster = _cluster(tx)
    for task in list(tx.tasks()):
        tx.delete(Task, task.id)
    for node in list(tx.nodes()):
        cluster = with_removed_node(cluster, node, now)
        tx.delete(Node, node.id)
    tx.update(cluster)
    tx.create(first)


def _cluster(view: View) -> Cluster:
    assert view.cluster is not None
    return view.cluster


def _changes(store: Store, decide: Callable[[Transaction], None]) -> list[Change]:
    """What `decide` makes of the store."""
    transaction = store.transaction()
    try:
        decide(transaction)
        return transaction.changes()
    finally:
        transaction.rollback()


def _entries(changes: Sequence[Change], now: int, store: Store) -> list[bytes]:
    """As few log entries as hold them, more or less: halved until each has room for its own."""
    entry = encode_entry(changes, now, store.spec)
    if len(entry) <= MAX_COMMAND or len(changes) == 1:
        return [entry]
    half = len(changes) // 2
    return [*_entries(changes[:half], now, store), *_entries(changes[half:], now, store)]
