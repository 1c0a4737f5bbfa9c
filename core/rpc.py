"""Errors of core.errors across gRPC: the status carries code and message, trailing metadata says that it was us, and
who leads or who was removed."""

import re
from typing import NoReturn

import grpc

from core import errors

LEADER_KEY = "pyswarm-leader"
REMOVED_KEY = "pyswarm-removed"
ANSWER_KEY = "pyswarm-answer"
_UNVERIFIED = re.compile(r"CERTIFICATE_VERIFY_FAILED: ([\w ]+)")
"""As BoringSSL, inside gRPC, words it: there is no code for it."""
_BY_CODE: dict[grpc.StatusCode, type[errors.PyswarmError]] = {
    grpc.StatusCode[kind.code]: kind
    for kind in (
        errors.InvalidArgument,
        errors.NotFound,
        errors.AlreadyExists,
        errors.FailedPrecondition,
        errors.OutOfSequence,
        errors.PermissionDenied,
        errors.Unauthenticated,
        errors.ResourceExhausted,
        errors.Unavailable,
        errors.DeadlineExceeded,
        errors.UnknownOutcome,
        errors.Internal,
    )
}


async def abort(context: "grpc.aio.ServicerContext[object, object]", error: errors.PyswarmError) -> NoReturn:
    """Ends the call with `error`'s status."""
    metadata: tuple[tuple[str, str], ...] = ((ANSWER_KEY, error.code),)
    if isinstance(error, errors.NotLeader):
        metadata = (*metadata, (LEADER_KEY, error.leader))
    elif isinstance(error, errors.Removed):
        metadata = (*metadata, (REMOVED_KEY, error.node_id))
    await context.abort(grpc.StatusCode[error.code], error.message, trailing_metadata=metadata)
    raise AssertionError("abort returned")


def error_of(failure: grpc.aio.AioRpcError) -> errors.PyswarmError:
    """The error that the other side raised, or what best describes why there was no answer."""
    metadata = failure.trailing_metadata()
    if metadata is not None and LEADER_KEY in metadata:
        return errors.NotLeader(str(metadata[LEADER_KEY]))
    if metadata is not None and REMOVED_KEY in metadata:
        return errors.Removed(str(metadata[REMOVED_KEY]))
    message = failure.details() or failure.code().name
    if failure.code() is grpc.StatusCode.UNAVAILABLE and (unverified := _UNVERIFIED.search(message)):
        return errors.Untrusted(unverified[1])
    kind = _BY_CODE.get(failure.code(), errors.Unavailable)
    return kind(message)


def was_answered(failure: grpc.aio.AioRpcError) -> bool:
    """Whether the other side ended the call with an error of its own; false if it was cut off on the way."""
    metadata = failure.trailing_metadata()
    return metadata is not None and ANSWER_KEY in metadata
