"""Errors as HTTP answers: `{"message": ...}`, with Docker's status for each kind.

What the cluster refuses carries swarmkit's words in front (`rpc error: code = ... desc = ...`), because clients
match on them; what this node finds itself (malformed requests, its own membership) is said plainly.
"""

from collections.abc import Awaitable
from typing import TypeVar

from core import errors

T = TypeVar("T")

_STATUS: dict[str, int] = {
    errors.InvalidArgument.code: 400,
    errors.FailedPrecondition.code: 400,
    errors.Unauthenticated.code: 401,
    errors.PermissionDenied.code: 403,
    errors.NotFound.code: 404,
    errors.AlreadyExists.code: 409,
    errors.ResourceExhausted.code: 413,
    errors.Unavailable.code: 503,
    errors.DeadlineExceeded.code: 504,
}
_RPC_CODES: dict[str, str] = {
    errors.InvalidArgument.code: "InvalidArgument",
    errors.FailedPrecondition.code: "FailedPrecondition",
    errors.PermissionDenied.code: "PermissionDenied",
    errors.AlreadyExists.code: "AlreadyExists",
    errors.OutOfSequence.code: "Unknown",
}


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def api_error(error: errors.PyswarmError) -> ApiError:
    """What this node found itself. A stale version is a 500, as in Docker: clients match on its text."""
    return ApiError(_STATUS.get(error.code, 500), error.message)


async def ask(answer: Awaitable[T]) -> T:
    """What the cluster answers. Raises ApiError, in swarmkit's words, for what it refuses."""
    try:
        return await answer
    except errors.PyswarmError as error:
        raise cluster_error(error) from error


def cluster_error(error: errors.PyswarmError) -> ApiError:
    plain = api_error(error)
    code = _RPC_CODES.get(error.code)
    return plain if code is None else ApiError(plain.status, f"rpc error: code = {code} desc = {plain.message}")
