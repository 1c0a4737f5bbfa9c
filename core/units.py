"""Durations as Go writes them and sizes as Docker writes them; no library reads either right."""

import re

from core.errors import InvalidArgument

_DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_MAX_DURATION = 2**63 - 1
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as `1h30m10s`, `500ms` or `0`; a leading sign is allowed.

    Raises InvalidArgument if it is none, or is beyond 292 years.
    """
    body = text.strip()
    sign = -1 if body.startswith("-") else 1
    body = body.lstrip("+-") if body[:1] in ("+", "-") else body
    if body == "0":
        return 0
    total, position = 0, 0
    for part in _DURATION_PART.finditer(body):
        if part.start() != position:
            break
        number, unit = part.groups()
        whole, _, fraction = number.partition(".")
        scale = _DURATION_UNITS[unit]
        total += int(whole or "0") * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        position = part.end()
    if not body or position != len(body):
        raise InvalidArgument(f"invalid duration {text!r}: write it like 1h30m, 10s or 500ms")
    if total > _MAX_DURATION:
        raise InvalidArgument(f"invalid duration {text!r}: it is beyond 292 years")
    return sign * total


def format_duration(nanoseconds: int) -> str:
    """As Go prints it: `1h30m0s`, `5s`, `1.5s`, `20ms`, `0s`."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < 1_000_000_000:
        for unit in ("ms", "µs", "ns"):
            if rest >= _DURATION_UNITS[unit]:
                return f"{sign}{_decimal(rest, _DURATION_UNITS[unit])}{unit}"
    hours, rest = divmod(rest, _DURATION_UNITS["h"])
    minutes, rest = divmod(rest, _DURATION_UNITS["m"])
    seconds = f"{_decimal(rest, _DURATION_UNITS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(value, scale)
    if not rest:
        return str(whole)
    return f"{whole}." + str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0")


def parse_size(text: str) -> int:
    """Bytes of a size such as `512M`, `1.5g`, `64mb` or `1024`; units are powers of 1024.

    Raises InvalidArgument if it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"invalid size {text!r}: write it like 512M or 2G")
    return int(float(match[1]) * _SIZE_UNITS[match[2].lower()])


def format_size(size: int) -> str:
    """As Docker prints it: four significant digits and a binary unit, `512MiB`, `23.54GiB`."""
    value = float(size)
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    for unit in units[:-1]:
        if value < 1024:
            return f"{value:.4g}{unit}"
        value /= 1024
    return f"{value:.4g}{units[-1]}"


def parse_cpus(text: str) -> int:
    """Nano-CPUs of a number of CPUs such as `0.5`. Raises InvalidArgument if it is none or is too precise."""
    match = re.fullmatch(r"(\d*)(?:\.(\d*))?", text.strip())
    if match is None or not (match[1] or match[2]):
        raise InvalidArgument(f"invalid number of CPUs {text!r}: write it like 0.5 or 2")
    fraction = match[2] or ""
    if len(fraction) > 9:
        raise InvalidArgument(f"invalid number of CPUs {text!r}: value is too precise")
    return int(match[1] or "0") * 10**9 + int(fraction.ljust(9, "0"))
