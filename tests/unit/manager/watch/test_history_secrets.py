"""What the history of changes keeps of secrets and configs."""

from dataclasses import replace

import pytest

from core.model import Config, ConfigSpec, Dependency, Secret, SecretSpec
from manager.store import Commit, Event, EventKind
from manager.watch import History

DATA = b"not to be kept"


@pytest.mark.parametrize(
    "item", [Secret(id="1", spec=SecretSpec("one", data=DATA)), Config(id="1", spec=ConfigSpec("one", data=DATA))]
)
def test_data_is_not_kept_beyond_its_object(item: Dependency) -> None:
    history = History(0)
    labelled = replace(item, revision=2)
    history.take(Commit(1, (Event(EventKind.CREATE, item),)))
    history.take(Commit(2, (Event(EventKind.UPDATE, labelled, item),)))
    history.take(Commit(3, (Event(EventKind.DELETE, labelled, labelled),)))
    events = [event for changes in history.after(0, [type(item)]) for event in changes.events]
    assert len(events) == 3
    kept = [held for event in events for held in (event.object, event.old) if isinstance(held, Secret | Config)]
    assert len(kept) == 5
    assert {(held.id, held.spec.name, held.spec.data) for held in kept} == {("1", "one", b"")}
