"""The data of secrets and configs in the log's entries and in snapshots."""

from dataclasses import replace

import pytest

from core.model import Config, ConfigSpec, Dependency, Secret, SecretSpec
from core.model.dependencies import key_of, with_data
from manager.store import Store, Transaction, encode_entry

DATA = b"told once" * 1000
ITEMS: list[Dependency] = [
    Secret(id="s1", spec=SecretSpec(name="one", data=DATA)),
    Config(id="c1", spec=ConfigSpec(name="one", data=DATA)),
]


class Pair:
    """A leader, which knows what it proposes, and a follower, which reads it from the log."""

    def __init__(self) -> None:
        self.leader, self.follower = Store(), Store()
        self.entries: list[bytes] = []

    def commit(self, tx: Transaction) -> None:
        changes = tx.changes()
        tx.rollback()
        self.entries.append(encode_entry(changes, 1, self.leader.spec))
        index = len(self.entries)
        self.leader.expect(b"%d" % index, changes, 1)
        for store in (self.leader, self.follower):
            store.apply(index, b"%d" % index, self.entries[-1])

    def create(self, item: Dependency) -> None:
        tx = self.leader.transaction()
        tx.create(item)
        self.commit(tx)

    def update(self, item: Dependency) -> None:
        tx = self.leader.transaction()
        held = tx.dependency(key_of(item))
        assert held is not None
        tx.update(replace(item, meta=held.meta))
        self.commit(tx)


@pytest.mark.parametrize("item", ITEMS)
def test_data_is_in_the_entry_that_makes_it_and_in_none_that_changes_it(item: Dependency) -> None:
    pair = Pair()
    pair.create(item)
    pair.update(replace(item, superseded_by="other"))
    assert DATA in pair.entries[0]
    assert DATA not in pair.entries[1]
    for store in (pair.leader, pair.follower):
        held = store.dependency(key_of(item))
        assert held is not None
        assert (held.spec.data, held.superseded_by) == (DATA, "other")


@pytest.mark.parametrize("item", ITEMS)
def test_other_data_under_the_same_id_is_taken_by_nobody(item: Dependency) -> None:
    pair = Pair()
    pair.create(item)
    pair.update(with_data(item, b"other"))
    for store in (pair.leader, pair.follower):
        held = store.dependency(key_of(item))
        assert held is not None
        assert held.spec.data == DATA


def test_a_snapshot_holds_every_version() -> None:
    pair = Pair()
    for item in ITEMS:
        pair.create(replace(item, superseded_by="newer", revision=3))
    restored = Store()
    restored.restore(2, pair.leader.freeze()())
    for item in ITEMS:
        assert restored.dependency(key_of(item)) == pair.leader.dependency(key_of(item))
        assert restored.secret_by_name("one") is None
