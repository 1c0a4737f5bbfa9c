"""Times as a user writes them. Pure."""

from datetime import UTC, datetime

import click

from core.errors import InvalidArgument
from core.units import parse_duration

_SECOND = 1e9


def parse_moment(flag: str, text: str, now: float) -> str:
    """Seconds since 1970 as the API takes them, of a time, a duration back from `now`, or such seconds; '' for ''.

    A time without a zone is the machine's own. Raises click.ClickException.
    """
    if not text or text.replace(".", "", 1).isdigit():
        return text
    try:
        return f"{max(now - parse_duration(text) / _SECOND, 0):.9f}"
    except InvalidArgument:
        pass
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise click.ClickException(
            f'invalid value for "{flag}": {text!r}: write it like 2013-01-02T13:23:37Z or 42m'
        ) from None
    return f"{max(moment.timestamp(), 0):.9f}"
