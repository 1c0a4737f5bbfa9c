"""Which versions of Docker's API are spoken."""

from importlib.metadata import version as _installed

from pyswarm.engineapi.errors import ApiError

PYSWARM_VERSION = _installed("pyswarm-orchestrator")

API_VERSION = "1.46"
"""Advertised: the first whose services have an OOM score adjustment; docker 29 talks to no less than 1.44."""
MIN_API_VERSION = "1.24"
MAX_API_VERSION = "1.50"
"""The newest a path may name."""


def check(version: str) -> None:
    """Raises ApiError for a version that is not spoken."""
    if _number(version) < _number(MIN_API_VERSION):
        raise ApiError(
            400,
            f"client version {version} is too old. Minimum supported API version is {MIN_API_VERSION}, "
            "please upgrade your client to a newer version",
        )
    if _number(version) > _number(MAX_API_VERSION):
        raise ApiError(400, f"client version {version} is too new. Maximum supported API version is {API_VERSION}")


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)
