"""The log of a daemon that does not run.

Of a locked manager the unlock key is asked for; where nobody can be asked, the environment gives it, or standard input.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.errors import FailedPrecondition
from pyswarm.cli.unlocking import ask_unlock_key

if TYPE_CHECKING:
    from raft import Inspection

UNLOCK_KEY = "PYSWARM_UNLOCK_KEY"
state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/pyswarm",
    show_default=True,
    help="The state folder of the daemon, which must not run.",
)


def inspect_stopped(state_dir: Path) -> "Inspection":
    """Raises FailedPrecondition while a daemon uses the folder, and whatever is wrong with the log."""
    from manager.logkeys import with_log_key
    from pyswarm.node.state import StateDir
    from raft import inspect_log

    try:
        if not (state_dir / "raft").is_dir():
            raise FailedPrecondition(f"{state_dir} holds no log: this node is not a manager, or give its --state-dir")
        state = StateDir(state_dir)
    except PermissionError as error:
        raise FailedPrecondition(f"cannot read {error.filename}: {error.strerror}; run this as root") from None
    try:
        return with_log_key(_log_keys(state.certificates), lambda key: inspect_log(state.raft, key))
    finally:
        state.close()


def _log_keys(certificates: Path) -> tuple[bytes, ...]:
    from identity.files import IN_CLEAR, Locked, load
    from identity.unlock import parse_unlock_key

    try:
        keys = load(certificates)
    except Locked:
        keys = load(certificates, parse_unlock_key(os.environ.get(UNLOCK_KEY) or ask_unlock_key()))
    return keys.log_keys if keys is not None else IN_CLEAR
