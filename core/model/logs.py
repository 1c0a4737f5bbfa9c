"""Lines that containers wrote, on their way to a user."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogOptions:
    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    since: int = 0
    """Nanoseconds since the epoch; 0 is the beginning."""
    tail: int = -1
    """Lines of each task; negative is all."""
    details: bool = False
    """With what each log driver was told to add: labels, environment variables."""


@dataclass(frozen=True, slots=True)
class LogLine:
    service_id: str = ""
    node_id: str = ""
    task_id: str = ""
    timestamp: int = 0
    stderr: bool = False
    data: bytes = b""
    """As written, with its line end."""
    details: str = ""
    """`key=value`, by commas, as the engine writes them: what the log driver was told to add, if that was asked for."""
