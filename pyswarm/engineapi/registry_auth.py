"""X-Registry-Auth: credentials that nodes pull a service's image with. They are no part of the spec that clients send
or see, and a spec that comes without them keeps those that the service has."""

import base64
import json
from dataclasses import replace

from aiohttp import web

from core.errors import FailedPrecondition, InvalidArgument
from core.model import Service, ServiceSpec

_HEADER = "X-Registry-Auth"


def with_credentials(spec: ServiceSpec, request: web.Request, current: Service | None = None) -> ServiceSpec:
    """`spec` with the credentials of `request`; without any, with those of the service that it updates.

    `registryAuthFrom=previous-spec` asks for those of the service's previous spec. Raises InvalidArgument, and
    FailedPrecondition if there is none.
    """
    source = request.query.get("registryAuthFrom", "")
    if source not in ("", "spec", "previous-spec"):
        raise InvalidArgument(f"invalid registryAuthFrom {source!r}: it may be spec or previous-spec")
    credentials = _checked(request.headers.get(_HEADER, ""))
    if not credentials and current is not None:
        former = current.previous_spec if source == "previous-spec" else current.spec
        if former is None:
            raise FailedPrecondition("service does not have a previous spec")
        credentials = former.task.container.registry_auth
    container = replace(spec.task.container, registry_auth=credentials)
    return replace(spec, task=replace(spec.task, container=container))


def _checked(header: str) -> str:
    """The header as it is. Its content is for the engine and the registry; it is never named in an error."""
    try:
        credentials = json.loads(base64.b64decode(header, altchars=b"-_", validate=True)) if header else {}
    except (ValueError, RecursionError):
        credentials = None
    if not isinstance(credentials, dict):
        raise InvalidArgument(f"{_HEADER} is not base64 of a JSON object")
    return header
