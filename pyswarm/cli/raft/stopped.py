"""The log of a daemon that does not run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.errors import FailedPrecondition

if TYPE_CHECKING:
    from raft import Inspection

state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/pyswarm",
    show_default=True,
    help="The state folder of the daemon, which must not run.",
)


def inspect_stopped(state_dir: Path) -> "Inspection":
    """Raises FailedPrecondition while a daemon uses the folder, and whatever is wrong with the log."""
    from pyswarm.node.state import StateDir
    from raft import inspect_log

    try:
        if not (state_dir / "raft").is_dir():
            raise FailedPrecondition(f"{state_dir} holds no log: this node is not a manager, or give its --state-dir")
        state = StateDir(state_dir)
    except PermissionError as error:
        raise FailedPrecondition(f"cannot read {error.filename}: {error.strerror}; run this as root") from None
    try:
        return inspect_log(state.raft)
    finally:
        state.close()
