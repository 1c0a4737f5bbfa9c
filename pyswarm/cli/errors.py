"""What goes wrong between the command and its daemon."""

from core.errors import FailedPrecondition, PyswarmError

NOT_FOUND = 404
UNAVAILABLE = 503


class ApiError(PyswarmError):
    """The daemon's own refusal, with its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"Error response from daemon: {reason}")
        self.status = status


class CannotConnect(FailedPrecondition):
    """No daemon answers on the socket."""
