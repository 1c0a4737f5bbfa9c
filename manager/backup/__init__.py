"""A whole copy of the cluster's state in one sealed file."""

from manager.backup.copy import read_copy, write_copy
from manager.backup.sealed import MIN_PASSPHRASE

__all__ = ["MIN_PASSPHRASE", "read_copy", "write_copy"]
