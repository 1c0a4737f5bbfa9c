"""What is secret in the store does not show when an object of it is printed, by a logger or in an error."""

import re

from core.clock import ManualClock
from identity.model import PemBundle
from identity.tokens import parse_token
from manager.store import Commit
from pyswarm.engineapi.ports import JoinRequest
from tests.support.one_manager import OneManager


def lines_of(key: bytes) -> list[str]:
    """Of a key's PEM, those that are the key."""
    return [line for line in key.decode().splitlines() if not line.startswith("-----")]


async def test_nothing_that_holds_the_clusters_key_and_tokens_prints_them() -> None:
    manager = OneManager(ManualClock(10**18))
    commits: list[Commit] = []
    manager.store.watch(commits.append)
    cluster = await manager.found()
    transaction = manager.store.transaction()
    transaction.update(cluster)
    root = cluster.root_ca
    secrets = [root.worker_token, root.manager_token, *lines_of(root.key)]
    assert all(len(secret) > 10 for secret in secrets[:-1])
    held = [cluster, root, commits, commits[0].events, transaction, transaction.changes(), manager.store]
    held += [JoinRequest(join_token=root.worker_token), PemBundle(root.key, root.cert, root.cert)]
    for printed in map(repr, held):
        assert [secret[:9] for secret in secrets if secret in printed] == []
    # A token's digest is no secret; its last part is.
    secret = re.fullmatch(r"SWMTKN-1-\w+-(\w+)", root.worker_token)
    assert secret is not None
    assert secret[1] not in repr(parse_token(root.worker_token))
