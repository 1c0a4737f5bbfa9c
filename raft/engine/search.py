"""Which members answer one that looks for a leader. Pure.

Every member answers a PreVote at once, whatever it answers. So those of whom nothing comes are silent, long before the
connections to their hosts are known to be dead.
"""

NEVER = 1 << 62


class Search:
    """`patience`: who has been asked and says nothing for so long (ns) counts as silent."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._look_at = NEVER
        self._heard: set[str] = set()
        self._silent: frozenset[str] = frozenset()

    def asked(self, now: int) -> None:
        """All others have been asked for their votes just now. Who was silent until now is so until it speaks."""
        self._look_at = now + self._patience
        self._heard.clear()

    def heard(self, member: str) -> None:
        """Anything at all."""
        self._heard.add(member)
        if member in self._silent:
            self._silent -= {member}

    def end(self) -> None:
        """There is a leader."""
        self._look_at = NEVER
        self._silent = frozenset()

    def due(self) -> int:
        """When to look for who is silent; NEVER if nobody has been asked since."""
        return self._look_at

    def silent(self, now: int, members: frozenset[str]) -> frozenset[str]:
        if now >= self._look_at:
            self._look_at = NEVER
            self._silent = members - self._heard
        return self._silent & members
