"""Which manager to ask next. Pure."""

from collections.abc import Iterable, Sequence


class ManagerList:
    """The known addresses in the order in which they are tried.

    A manager that failed goes to the end. A follower's word on who leads is taken, except that it names the manager
    that has just failed: the follower may not have noticed yet, and it takes its turn like the others.
    """

    def __init__(self, addrs: Iterable[str]) -> None:
        self._addrs = list(dict.fromkeys(addrs))
        self._failed = ""

    @property
    def addrs(self) -> Sequence[str]:
        return tuple(self._addrs)

    def next(self) -> str:
        """The address to try; empty if none is known."""
        return self._addrs[0] if self._addrs else ""

    def failed(self, addr: str) -> None:
        """`addr` did not answer, or its session broke."""
        self._failed = addr
        self._to_end(addr)

    def not_leader(self, addr: str, leader: str) -> bool:
        """`addr` does not lead and says that `leader` (may be empty) does. True if that is worth asking at once."""
        self._to_end(addr)
        if leader in ("", addr, self._failed):
            return False
        if leader in self._addrs:
            self._addrs.remove(leader)
        self._addrs.insert(0, leader)
        return True

    def leads(self, addr: str) -> None:
        """`addr` has opened a session."""
        self._failed = ""
        if addr in self._addrs:
            self._addrs.remove(addr)
        self._addrs.insert(0, addr)

    def replace(self, addrs: Sequence[str]) -> bool:
        """The managers as the leader lists them; the order of those known before is kept. True if that is news.
        An empty list is not believed."""
        if not addrs or set(addrs) == set(self._addrs):
            return False
        self._addrs = [addr for addr in self._addrs if addr in addrs] + [a for a in addrs if a not in self._addrs]
        return True

    def _to_end(self, addr: str) -> None:
        if addr in self._addrs:
            self._addrs.remove(addr)
            self._addrs.append(addr)
