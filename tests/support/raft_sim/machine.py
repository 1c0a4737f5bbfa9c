"""A state machine of lists: a command appends one value to the list of one key."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator

Applied = Callable[["Lists", int, bytes], None]


def append(key: int, value: int, size: int = 0) -> bytes:
    """The command that appends `value`, at least `size` bytes long."""
    return (b"%d %d" % (key, value)).ljust(size)


class Lists:
    def __init__(self, applied: Applied, count: Callable[[str], None] = lambda _: None) -> None:
        self.history: list[tuple[int, int, int]] = []
        """(index, key, value) of each command, in order."""
        self.stumbles = False
        """Whether the next command fails after it was applied."""
        self._applied = applied
        self._count = count
        self._lists: defaultdict[int, tuple[int, ...]] = defaultdict(tuple)

    def read(self, key: int) -> tuple[int, ...]:
        return self._lists[key]

    @property
    def values(self) -> list[int]:
        return [value for _, _, value in self.history]

    def apply(self, index: int, request_id: bytes, command: bytes) -> None:
        self._add(index, *map(int, command.split()))
        self._applied(self, index, request_id)
        if self.stumbles:
            self.stumbles = False
            raise OSError("simulated")

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        self._count("snapshot")
        held = tuple(self.history)
        return lambda: iter((json.dumps(held).encode(),))

    def thaw(self, index: int, chunks: Iterator[bytes]) -> Callable[[], None]:
        held = [row for chunk in chunks for row in json.loads(chunk)]

        def use() -> None:
            self._count("restored")
            self.history.clear()
            self._lists.clear()
            for at, key, value in held:
                self._add(at, key, value)

        return use

    def _add(self, index: int, key: int, value: int) -> None:
        self.history.append((index, key, value))
        self._lists[key] += (value,)
