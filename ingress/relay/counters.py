"""What the relay counts, from its start."""


class Counters:
    __slots__ = ("accepted", "failed", "refused_peers", "retried", "served")

    def __init__(self) -> None:
        self.accepted = 0
        """Connections of clients."""
        self.failed = 0
        """Of these, how many no task could be reached for."""
        self.retried = 0
        """Backends that were tried in vain."""
        self.served = 0
        """Streams that other relays opened and that reached a container here."""
        self.refused_peers = 0
        """Connections to the relay port that were no relay of this cluster."""

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}
