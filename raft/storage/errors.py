"""Why a state folder cannot be used. Each message says what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import FailedPrecondition, Internal

REPAIR = (
    "The other managers hold the data: on one of them run `pyswarm node demote {node_id}`, then "
    "`pyswarm node promote {node_id}`, which begins here with an empty log. "
    "If this is the only manager, restore a copy of the folder {folder}"
)


class DamagedState(FailedPrecondition):
    """What was once safely on disk is no longer readable. Nothing is changed or dropped by itself."""

    def __init__(self, path: Path, offset: int | None, what: str, node_id: str = "THIS-NODE") -> None:
        """`offset` is where in the file, if that is known."""
        repair = REPAIR.format(node_id=node_id, folder=path.parent)
        where = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{path}: {what}{where}. This manager does not start with it. {repair}")


class UnreadableState(FailedPrecondition):
    """The disk does not give back what is on it, or this process may not read it."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"cannot read {path}: {error.strerror or error}. This manager does not start without it")


class Locked(FailedPrecondition):
    """The data keys are sealed with an unlock key, and the one that was given, if any, is not it."""


class ForeignState(FailedPrecondition):
    """The folder belongs to another cluster or node."""

    def __init__(self, folder: Path, what: str, theirs: str, ours: str, node_id: str) -> None:
        super().__init__(
            f"{folder} holds the log of {what} {theirs}, but this is {what} {ours}: give the folder of this {what}; "
            f"if it is lost, move {folder} away, and on another manager run `pyswarm node demote {node_id}`, then "
            f"`pyswarm node promote {node_id}`"
        )


class StorageFailed(Internal):
    """The disk refused a write. What was not acknowledged is not relied on; the member stops."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"cannot write {path}: {error.strerror or error}. "
            f"This manager stops, so that nothing acknowledged is lost; "
            f"make room or replace the disk"
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong with the disk meanwhile is StorageFailed."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(path, error) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong with the disk meanwhile is UnreadableState."""
    try:
        yield
    except OSError as error:
        raise UnreadableState(path, error) from error
