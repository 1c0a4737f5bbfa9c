"""What the guard may see of its member."""

from typing import Protocol


class View(Protocol):
    """All are read anew each time."""

    @property
    def term(self) -> int: ...
    @property
    def is_leader(self) -> bool: ...
    @property
    def leader(self) -> str:
        """The node id of this term's leader, empty if unknown."""
        ...

    @property
    def committed(self) -> int:
        """The highest index known to be committed: applied entries count."""
        ...

    @property
    def first_index(self) -> int:
        """The oldest entry held. It is committed: either the log's very first or covered by a snapshot."""
        ...

    @property
    def last_index(self) -> int: ...
    @property
    def voters(self) -> frozenset[str]:
        """This member included, if it is one."""
        ...

    @property
    def learners(self) -> frozenset[str]:
        """Those that are being fed."""
        ...

    def term_at(self, index: int) -> int | None:
        """None if the log does not hold that entry."""
        ...

    def linked(self, node_id: str) -> bool:
        """Whether our stream to that member stands."""
        ...
