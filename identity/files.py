"""A node's credentials on disk: one file, so that key and certificate always belong together."""

import re
from pathlib import Path

from core.errors import FailedPrecondition, PyswarmError
from core.files import make_private_folder, replace_private_file
from identity.credentials import Credentials
from identity.model import PemBundle

FILE_NAME = "node.pem"
_BLOCK = re.compile(rb"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----\n", re.DOTALL)


def save(folder: Path, bundle: PemBundle) -> None:
    """Durable and whole when it returns: key, certificate and root, readable by their owner only."""
    make_private_folder(folder)
    replace_private_file(folder / FILE_NAME, bundle.key + bundle.certificate + bundle.root)


def load_credentials(folder: Path) -> Credentials | None:
    """None if there are none. Raises FailedPrecondition if the file is damaged. Expired ones are loaded."""
    path = folder / FILE_NAME
    try:
        blocks = _BLOCK.findall(path.read_bytes())
    except FileNotFoundError:
        return None
    advice = "`pyswarm leave --force` forgets the cluster, then join again"
    if len(blocks) != 3:
        raise FailedPrecondition(f"{path} is damaged: it does not hold a key, a certificate and a root; {advice}")
    try:
        return Credentials(*blocks)
    except PyswarmError as error:
        raise FailedPrecondition(f"{path} is damaged: {error.message}; {advice}") from None
