"""--with-registry-auth: the credentials that `docker login` has left on this machine."""

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import FailedPrecondition

_HUB = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers call the user of an identity token


def auth_headers(image: str) -> Mapping[str, str]:
    """X-Registry-Auth for the registry of `image`; an empty set of credentials if there are none.

    Raises FailedPrecondition if Docker's configuration can not be read.
    """
    credentials = _credentials(_registry(image))
    encoded = base64.urlsafe_b64encode(json.dumps(credentials, separators=(",", ":")).encode())
    return {"X-Registry-Auth": encoded.decode()}


def _registry(image: str) -> str:
    first, slash, _ = image.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_host and first not in ("docker.io", "index.docker.io") else _HUB


def _credentials(registry: str) -> Mapping[str, str]:
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise FailedPrecondition(f"{path} cannot be read: mend it, or log in again with docker login") from None
    try:
        return _found(config, registry)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FailedPrecondition(f"the credentials for {registry} are not readable: log in again") from None


def _found(config: Mapping[str, Any], registry: str) -> Mapping[str, str]:
    helper = (config.get("credHelpers") or {}).get(registry) or config.get("credsStore")
    return _of_helper(helper, registry) if helper else _of_entry((config.get("auths") or {}).get(registry), registry)


def _of_entry(entry: Any, registry: str) -> Mapping[str, str]:
    if not isinstance(entry, dict):
        return {}
    found = {"serveraddress": registry}
    if entry.get("auth"):
        username, _, password = base64.b64decode(entry["auth"]).decode().rstrip("\0").partition(":")
        found |= {"username": username, "password": password}
    if entry.get("identitytoken"):
        found["identitytoken"] = entry["identitytoken"]
    return found


def _of_helper(helper: str, registry: str) -> Mapping[str, str]:
    """Asks the program docker-credential-HELPER, which knows nothing of most registries."""
    try:
        asked = subprocess.run([f"docker-credential-{helper}", "get"], input=registry.encode(), capture_output=True)
    except OSError as error:
        raise FailedPrecondition(f"the credential helper docker-credential-{helper} cannot be run: {error}") from None
    if asked.returncode:
        return {}
    told = json.loads(asked.stdout)
    if told["Username"] == _TOKEN_USER:
        return {"serveraddress": registry, "identitytoken": told["Secret"]}
    return {"serveraddress": registry, "username": told["Username"], "password": told["Secret"]}
