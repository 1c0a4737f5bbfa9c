"""Comma-separated `key=value`, as --publish and --mount take them. Pure."""

import csv

from core.errors import InvalidArgument


def fields(text: str) -> list[tuple[str, str]]:
    """A value that holds a comma is quoted as in CSV; a key alone has the value ''. Raises InvalidArgument."""
    try:
        items = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidArgument(f"invalid fields {text!r}: {error}") from None
    pairs = [item.partition("=")[::2] for item in items]
    return [(key.strip().lower(), value) for key, value in pairs]
