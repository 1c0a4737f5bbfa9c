"""How much this process can hold at once."""

import resource

FILES_PER_CONNECTION = 4
"""Two sockets and, for a bulk transfer, a pipe."""
RESERVED_FILES = 512
"""For listeners, other relays and the control socket."""
MOST = 65536


class Capacity:
    """A count with a limit, which those who take from it look at first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def full(self) -> bool:
        return self.used >= self.limit

    def take(self) -> None:
        self.used += 1

    def give_back(self) -> None:
        self.used -= 1


def raise_file_limit() -> int:
    """Lets this process open as many files as it may, and returns how many connections those are enough for."""
    wanted = MOST * FILES_PER_CONNECTION + RESERVED_FILES
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        files = wanted
    except (ValueError, OSError):  # only root may go beyond the hard limit
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(16, (files - RESERVED_FILES) // FILES_PER_CONNECTION)
