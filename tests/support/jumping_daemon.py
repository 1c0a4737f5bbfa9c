"""A daemon whose wall clock can be set: `jumping_daemon.py FILE ARGUMENTS...` runs `pyswarm ARGUMENTS...`.

Its clock is the machine's plus the nanoseconds in FILE, which is read each time. What the TLS libraries take for the
time stays.
"""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import core.clock
from pyswarm.cli.main import main


def jump_with(offset: Path) -> None:
    def now() -> int:
        return time.time_ns() + int(offset.read_text())

    core.clock.time = SimpleNamespace(time_ns=now, monotonic_ns=time.monotonic_ns)  # type: ignore[assignment]


if __name__ == "__main__":
    jump_with(Path(sys.argv.pop(1)))
    main()
