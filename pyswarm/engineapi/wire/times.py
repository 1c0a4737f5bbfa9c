"""Times as Go's JSON has them: RFC 3339 with up to nine digits of a second."""

from datetime import UTC, datetime, timedelta

ZERO_TIME = "0001-01-01T00:00:00Z"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def show_time(nanoseconds: int) -> str:
    """`2026-11-21T07:06:20.45637531Z`: as few digits as say it all; Go's zero time for 0."""
    if nanoseconds == 0:
        return ZERO_TIME
    seconds, fraction = divmod(nanoseconds, 10**9)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{_seconds(seconds)}{digits}Z"


def show_log_time(nanoseconds: int) -> str:
    """`2026-11-21T07:06:20.456375310Z`: always nine digits, so that lines align."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    return f"{_seconds(seconds)}.{fraction:09d}Z"


def _seconds(seconds: int) -> str:
    moment = _EPOCH + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
