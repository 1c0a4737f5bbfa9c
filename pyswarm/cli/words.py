"""Times, states and names as Docker says them, and the order in which it lists names. Pure."""

import re
from datetime import UTC, datetime

SHORT_ID = 12

_DAY = 24
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def seconds_of(text: str) -> float:
    """Seconds since 1970 of a time as the API gives it; 0 for what is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return 0.0
    moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return moment.timestamp() + float(f"0.{match[2] or 0}")


def go_time(text: str) -> str:
    """A time of the API as Go prints it: `2026-11-21 07:06:22.478174079 +0000 UTC`."""
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00")).astimezone(UTC)
    fraction = (match[2] or "").rstrip("0")
    return f"{moment:%Y-%m-%d %H:%M:%S}{'.' + fraction if fraction else ''} +0000 UTC"


def duration_in_words(seconds: float) -> str:
    """As Docker says it: `Less than a second`, `About a minute`, `3 hours`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours < 2 * _DAY:
        return "About an hour" if hours == 1 else f"{hours} hours"
    if hours < 14 * _DAY:
        return f"{hours // _DAY} days"
    if hours < 60 * _DAY:
        return f"{hours // _DAY // 7} weeks"
    if hours < 730 * _DAY:
        return f"{hours // _DAY // 30} months"
    return f"{int(seconds) // 3600 // _DAY // 365} years"


def capitalised(text: str) -> str:
    """`ready` -> `Ready`; the rest in lower case."""
    return text[:1].upper() + text[1:].lower()


def ellipsis(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def short_id(identifier: str) -> str:
    return identifier[:SHORT_ID]


def natural(text: str) -> tuple[tuple[str, int], ...]:
    """A key that sorts `web.2` before `web.10`."""
    return tuple((word, int(number or 0)) for word, number in re.findall(r"(\D*)(\d*)", text))


def familiar(image: str) -> str:
    """An image's name as people write it: without Docker Hub's address, and without a digest if it has a tag."""
    name = image.removeprefix("docker.io/").removeprefix("library/")
    before, _, _ = name.partition("@")
    return before if ":" in before.rpartition("/")[2] else name


def tagged(image: str) -> str:
    """The familiar name, with the tag `latest` if it has neither a tag nor a digest."""
    name = image.removeprefix("docker.io/").removeprefix("library/")
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"
