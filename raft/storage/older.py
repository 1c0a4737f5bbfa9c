"""Snapshots whose place a later one has taken, kept for who wants to look back, as Docker's managers do.

The log needs none of them: what cannot be kept or deleted is logged, and no harm.
"""

import os
from pathlib import Path

from core.logs import logger
from raft.storage.snapshot import FILE

log = logger("raft.storage")


def keep_older(folder: Path, index: int, most: int) -> None:
    """Before another snapshot takes the place of the one that covers the log up to `index`: keeps it under a name of
    its own, and of all that were kept so the newest `most`."""
    try:
        # It is there already if the member died right after this.
        if most and (folder / FILE).exists() and not (kept := folder / f"{FILE}-{index:020}").exists():
            os.link(folder / FILE, kept)
    except OSError as error:
        log.warning("an older snapshot is not kept", index=index, error=str(error))
    keep_newest(folder, most)


def keep_newest(folder: Path, most: int) -> None:
    """Of those that were kept; none if `most` is 0."""
    try:
        kept = sorted(folder.glob(f"{FILE}-*"))
        for path in kept[: max(0, len(kept) - most)]:
            path.unlink()
    except OSError as error:
        log.warning("older snapshots are not deleted", error=str(error))
