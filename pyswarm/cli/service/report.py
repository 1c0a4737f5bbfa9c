"""What a command that waits for a service shows of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

STATES = ("new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running")
ENDED = ("complete", "shutdown", "failed", "rejected")
RANK = {state: rank for rank, state in enumerate((*STATES, *ENDED), 1)}
STATE_WIDTH = max(map(len, STATES))
MOST_BARS = 20
"""Tasks beyond which each is no longer shown by itself."""
_ERROR_WIDTH = 75


@dataclass(frozen=True)
class Line:
    """`label: text`, or the text alone if there is no label; with a bar if it has come `progress` of `total`."""

    label: str
    text: str
    progress: int | None = None
    total: int = len(STATES)


@dataclass(frozen=True)
class Report:
    """Lines to be drawn over those of the same labels, and whether there is more to wait for."""

    lines: Sequence[Line] = ()
    done: bool = False
    error: str = ""


def one_line(error: str) -> str:
    text = " ".join(error.split())
    return text if len(text) <= _ERROR_WIDTH else text[: _ERROR_WIDTH - 1] + "…"
