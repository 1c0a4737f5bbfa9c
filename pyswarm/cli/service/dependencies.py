"""--secret and --config of services: what their text means, and the ids that go with it. The shapes are the API's."""

from collections.abc import Sequence
from typing import Any

import click

from core.errors import InvalidArgument
from pyswarm.cli.client import Client
from pyswarm.cli.fields import fields
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import Parsed

NOUNS = ("secret", "config")
_FILE = {"target": "Name", "uid": "UID", "gid": "GID"}


def parse_reference(noun: str, text: str) -> Json:
    """`NAME`, or `source=NAME,target=PATH,uid=0,gid=0,mode=0444`. Raises InvalidArgument."""
    reference: Json = {"Name": "", "File": {"Name": "", "UID": "0", "GID": "0", "Mode": 0o444}}
    if "," not in text and "=" not in text:
        text = f"source={text}"
    for key, value in fields(text):
        if not value:
            raise InvalidArgument(
                f"invalid field '{key}' must be a key=value pair: write it like source=NAME,target=FILE"
            )
        if key in ("source", "src"):
            reference["Name"] = value
        elif key in _FILE:
            reference["File"][_FILE[key]] = value
        elif key == "mode":
            reference["File"]["Mode"] = _mode(value)
        else:
            raise InvalidArgument(f"invalid field '{key}' in {noun} request: there are source, target, uid, gid, mode")
    if not reference["Name"]:
        raise InvalidArgument("source is required")
    reference["File"]["Name"] = reference["File"]["Name"] or reference["Name"]
    return reference


def _mode(text: str) -> int:
    """As Go reads a number: octal if it begins with 0."""
    digits, base = (text, 8) if text.startswith("0") else (text, 10)
    try:
        return int(digits.removeprefix("0o"), base)
    except ValueError:
        raise InvalidArgument(f"invalid mode specified: {text!r}: write it in octal, like 0444") from None


SECRET = Parsed("secret", lambda text: parse_reference("secret", text))
CONFIG = Parsed("config", lambda text: parse_reference("config", text))


def change_references(client: Client, container: Json, given: dict[str, Any]) -> None:
    """Applies the flags `--secret`, `--secret-add`, `--secret-rm` and those of configs. Raises click.ClickException."""
    for noun in NOUNS:
        section, name = f"{noun.capitalize()}s", f"{noun.capitalize()}Name"
        add = [*given.get(noun, ()), *given.get(f"{noun}_add", ())]
        remove = given.get(f"{noun}_rm", ())
        if add or remove:
            kept = [item for item in container.get(section) or [] if item[name] not in remove]
            container[section] = [*kept, *_resolved(client, noun, add)]


def _resolved(client: Client, noun: str, wanted: Sequence[Json]) -> list[Json]:
    """With the ids that the daemon knows."""
    if not wanted:
        return []
    names = {item["Name"]: True for item in wanted}
    ids = {item["Spec"]["Name"]: item["ID"] for item in client.get(f"/{noun}s", {"filters": {"names": names}})}
    for item in wanted:
        if item["Name"] not in ids:
            raise click.ClickException(f"{noun} not found: {item['Name']}")
    prefix = noun.capitalize()
    return [{"File": item["File"], f"{prefix}ID": ids[item["Name"]], f"{prefix}Name": item["Name"]} for item in wanted]
