"""Running the system's own tools, with their complaint in the error."""

import subprocess
from collections.abc import Sequence

from core.errors import PyswarmError


class LabError(PyswarmError):
    """A host could not be built, found or changed."""


def run(*command: str, check: bool = True) -> str:
    """Standard output and error of `command`. Raises LabError with its last lines if it fails and `check` is set."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except FileNotFoundError:
        raise LabError(f"{command[0]} is not installed; on Debian: apt-get install iproute2 util-linux") from None
    if check and done.returncode:
        raise LabError(f"{shown(command)} failed ({done.returncode}): {done.stdout.strip()[-800:]}")
    return done.stdout


def shown(command: Sequence[str]) -> str:
    return " ".join(command[:6]) + (" ..." if len(command) > 6 else "")
