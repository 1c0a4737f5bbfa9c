"""X-Registry-Auth: credentials for the nodes to pull with."""

import base64
import json

from core.errors import InvalidArgument
from pyswarm.engineapi.wire.fields import is_zero


def refuse_credentials(header: str) -> None:
    """Raises InvalidArgument for real credentials: pyswarm has no way to hand them to the nodes yet.

    An empty set, which the docker command sends where nobody is logged in, is nothing to hand on.
    """
    try:
        credentials = json.loads(base64.b64decode(header, altchars=b"-_")) if header else {}
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("X-Registry-Auth is not base64 of a JSON object") from error
    if not is_zero(credentials):
        raise InvalidArgument(
            "registry credentials (--with-registry-auth) are not supported by pyswarm yet: log in to the registry "
            "on each node, or load the image there"
        )
