"""The decisions of the root's rotation (CA-06)."""

from dataclasses import replace

import pytest
from cryptography import x509

from core.clock import SECOND
from core.errors import FailedPrecondition
from core.ids import new_id
from core.model import Cluster, Node, NodeDescription, NodeSpec, NodeState, NodeStatus, Role, RootCA
from identity.certificates import load_certificate, load_certificates, read_leaf, root_fingerprint, signed_by
from identity.keys import new_key_and_csr
from identity.root import create_root, root_digest
from identity.tokens import parse_token
from manager.ca import begin_rotation, new_cluster, signing
from manager.ca.rotation import BATCH, RootRotator, finish_rotation, next_batch, waiting_nodes
from manager.ca.signing import reissue
from tests.support.stage import Stage

NOW = 1_700_000_000 * SECOND
NEW, NEW_KEY = create_root(NOW)
OTHER, OTHER_KEY = create_root(NOW)


def rotating() -> Cluster:
    return begin_rotation(new_cluster(NOW, new_id), NEW, NEW_KEY, NOW)


def node(number: int, issuer: bytes, state: NodeState = NodeState.READY, **fields: object) -> Node:
    description = NodeDescription(certificate_issuer=root_fingerprint(issuer))
    return Node(id=f"n{number:03}", description=description, status=NodeStatus(state), **fields)


class World(Stage):
    """A rotator over a cluster and nodes that do as they are told."""

    def __init__(self, cluster: Cluster, *nodes: Node) -> None:
        super().__init__(RootRotator())
        self.tx.create(cluster)
        for each in nodes:
            self.put(each)
        self.run()

    @property
    def root_ca(self) -> RootCA:
        assert self.tx.cluster is not None
        return self.tx.cluster.root_ca

    @property
    def due(self) -> list[str]:
        return sorted(each.id for each in self.tx.nodes() if each.certificate_due)

    def say(self, node_id: str, issuer: bytes) -> None:
        """The node's word on what it holds."""
        known = self.tx.node(node_id)
        assert known is not None
        self.put(replace(known, description=NodeDescription(certificate_issuer=root_fingerprint(issuer))))
        self.run()

    def change(self, cluster: Cluster) -> None:
        self.tx.update(cluster)
        self.run()


def test_CA_06_from_the_beginning_the_new_root_signs_and_the_old_one_vouches_for_it() -> None:
    cluster = rotating()
    old = cluster.root_ca
    now = signing(old)
    assert (now.cert, now.key, now.trusted) == (NEW, NEW_KEY, old.cert + NEW)
    crossed = load_certificate(now.cross_signed)
    assert signed_by(crossed, load_certificate(old.cert))
    assert crossed.public_key() == load_certificate(NEW).public_key()
    assert crossed.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0, "only leaves"
    assert parse_token(old.worker_token).digest == root_digest(old.cert), "who joins still knows the old one"
    issued = _issued(cluster)
    leaf, behind = load_certificates(issued)
    assert signed_by(leaf, load_certificate(NEW))
    assert behind == crossed
    assert read_leaf(issued).identity.cluster_id == cluster.id


def test_CA_06_in_the_end_tokens_name_the_new_root_and_nothing_goes_behind_certificates() -> None:
    before = rotating()
    after = finish_rotation(before)
    assert (after.root_ca.cert, after.root_ca.key, after.root_ca.rotation) == (NEW, NEW_KEY, None)
    for old, new in (
        (before.root_ca.worker_token, after.root_ca.worker_token),
        (before.root_ca.manager_token, after.root_ca.manager_token),
    ):
        assert parse_token(new).digest == root_digest(NEW)
        assert parse_token(new).secret != parse_token(old).secret
    assert len(load_certificates(_issued(after))) == 1
    assert signing(after.root_ca).trusted == NEW


def test_CA_06_a_cluster_at_rest_is_left_alone() -> None:
    world = World(new_cluster(NOW, new_id), node(1, NEW), node(2, OTHER))
    writes = world.writes()
    world.say("n002", NEW)
    assert world.due == []
    assert world.writes() == writes + 1


def test_CA_06_nodes_are_asked_in_batches_and_it_ends_with_the_last_of_them() -> None:
    cluster = rotating()
    old = cluster.root_ca.cert
    world = World(cluster, *(node(number, old) for number in range(BATCH + 5)))
    assert len(world.due) == BATCH
    done = 0
    while world.due:
        assert world.root_ca.rotation is not None
        assert len(world.due) <= BATCH
        world.say(world.due[0], NEW)
        done += 1
    assert done == BATCH + 5
    assert (world.root_ca.cert, world.root_ca.rotation) == (NEW, None)


def test_CA_06_who_is_down_is_asked_last_but_waited_for() -> None:
    cluster = rotating()
    old = cluster.root_ca.cert
    down = [node(number, old, NodeState.DOWN) for number in range(BATCH)]
    world = World(cluster, *down, node(900, old), node(901, NEW))
    assert "n900" in world.due
    assert len(world.due) == BATCH
    world.say("n900", NEW)
    for number in range(BATCH):
        assert world.root_ca.rotation is not None
        world.say(f"n{number:03}", NEW)
    assert world.root_ca.rotation is None


def test_CA_06_who_is_asked_stays_asked_until_it_answers() -> None:
    nodes = [node(number, OTHER, certificate_due=number == 99) for number in range(100)]
    assert "n099" in next_batch(nodes)
    assert len(next_batch(nodes)) == BATCH
    assert next_batch([]) == set()


def test_CA_06_a_node_that_is_removed_is_not_waited_for() -> None:
    cluster = rotating()
    world = World(cluster, node(1, NEW), node(2, cluster.root_ca.cert, NodeState.DOWN))
    assert world.root_ca.rotation is not None
    world.remove(Node, "n002")
    world.run()
    assert world.root_ca.rotation is None


def test_CA_06_of_a_node_that_never_came_what_it_was_given_counts() -> None:
    issuer = root_fingerprint(NEW)
    given = [Node(id="new", certificate_issuer=issuer), Node(id="old", certificate_issuer=root_fingerprint(OTHER))]
    assert [each.id for each in waiting_nodes(given, issuer)] == ["old"]


def test_CA_06_a_new_leader_goes_on() -> None:
    cluster = rotating()
    nodes = [node(1, NEW), node(2, cluster.root_ca.cert, certificate_due=True)]
    world = World(cluster, *nodes)
    assert world.due == ["n002"]
    assert World(cluster, nodes[0]).root_ca.rotation is None


def test_CA_06_another_rotation_takes_the_place_of_the_first_and_all_converge_to_it() -> None:
    cluster = rotating()
    old = cluster.root_ca.cert
    world = World(cluster, node(1, NEW), node(2, old))
    assert world.tx.cluster is not None
    world.change(begin_rotation(world.tx.cluster, OTHER, OTHER_KEY, NOW))
    assert signed_by(load_certificate(signing(world.root_ca).cross_signed), load_certificate(old))
    assert world.due == ["n001", "n002"], "also the one that holds a certificate of the root that is given up"
    world.say("n001", OTHER)
    world.say("n002", NEW)
    assert world.root_ca.rotation is not None
    world.say("n002", OTHER)
    assert (world.root_ca.cert, world.root_ca.rotation) == (OTHER, None)


def test_CA_06_there_is_no_way_back() -> None:
    """A node that has not said yet that it holds a certificate of the root given up would be left with it for good."""
    cluster = rotating()
    old = cluster.root_ca
    with pytest.raises(FailedPrecondition, match="cannot go back to it: change to a new one"):
        begin_rotation(cluster, old.cert, old.key, NOW)
    further = begin_rotation(cluster, OTHER, OTHER_KEY, NOW)
    for cert, key in ((NEW, NEW_KEY), (old.cert, old.key)):
        with pytest.raises(FailedPrecondition, match="has left this root already"):
            begin_rotation(further, cert, key, NOW)
    ended = finish_rotation(further)
    assert begin_rotation(ended, NEW, NEW_KEY, NOW).root_ca.rotation is not None


def _issued(cluster: Cluster) -> bytes:
    """The certificate that this manager makes for itself."""
    stage = Stage(RootRotator())
    stage.tx.create(cluster)
    stage.put(Node(id="m", role=Role.MANAGER, spec=NodeSpec(role=Role.MANAGER)))
    return reissue(stage.tx, "m", new_key_and_csr()[1], NOW).certificate
