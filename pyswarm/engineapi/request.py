"""What a request carries: its body and its query, read as Docker reads them."""

import json
import re
import secrets
from typing import Any, NoReturn

from aiohttp import web

from core.clock import SECOND
from core.errors import InvalidArgument
from manager.control.api import Filters
from pyswarm.engineapi.engine import LocalEngine
from pyswarm.engineapi.ports import ControlApi, NodeApi
from pyswarm.engineapi.shown import Shown
from pyswarm.engineapi.wire.fields import UINT64_MAX

MAX_BODY = 3 << 19
"""Bytes. The largest is a config of 1000 KiB in base64; a service's spec must fit into one entry of the log."""

NODE: web.AppKey[NodeApi] = web.AppKey("node")
ENGINE: web.AppKey[LocalEngine] = web.AppKey("engine")
SHOWN: web.AppKey[Shown] = web.AppKey("shown")
_MOMENT = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?", re.ASCII)
_REQUEST_ID_BYTES = 16
_FALSE = ("", "0", "no", "false", "none")


def control(request: web.Request) -> ControlApi:
    """The cluster. Raises NotManager."""
    return request.app[NODE].control()


def new_request_id() -> bytes:
    """For one request to the leader, which may be made more than once: random."""
    return secrets.token_bytes(_REQUEST_ID_BYTES)


async def read_body(request: web.Request) -> object:
    """The JSON value of the body. Raises InvalidArgument if it is none."""
    return parse_json(await request.read(), "the request body")


def parse_json(data: bytes | str, what: str) -> Any:
    """Raises InvalidArgument, naming `what`, for anything but one JSON value of a reasonable depth."""
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{what} can not be read as JSON: {error}") from error


def flag(request: web.Request, name: str) -> bool:
    """A Boolean of the query: absent, 0, no, false and none are false, in any case."""
    return request.query.get(name, "").strip().lower() not in _FALSE


def version(request: web.Request, noun: str) -> int:
    """The version that the client read. Raises InvalidArgument."""
    text = request.query.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= UINT64_MAX):
        raise InvalidArgument(f"invalid {noun} version {text!r}: give the Version.Index that you read as ?version=")
    return int(text)


def filters(request: web.Request) -> Filters:
    """Filters in either form, `{"name": {"web": true}}` or `{"name": ["web"]}`. Raises InvalidArgument."""
    text = request.query.get("filters", "")
    if not text:
        return {}
    given = parse_json(text, "filters")
    if not isinstance(given, dict):
        raise InvalidArgument("filters must be a JSON object")
    return {key: _filter_values(key, values) for key, values in given.items()}


def moment(request: web.Request, name: str) -> int | None:
    """A time of the query, `seconds[.fraction]` since the epoch, in nanoseconds. Raises InvalidArgument."""
    text = request.query.get(name, "")
    if not text:
        return None
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid {name} {text!r}: give seconds since 1970, such as 1795241473.5")
    return int(match[1]) * SECOND + int((match[2] or "").ljust(9, "0"))


def _filter_values(key: str, values: Any) -> list[str]:
    if isinstance(values, dict) and all(isinstance(wanted, bool) for wanted in values.values()):
        return [value for value, wanted in values.items() if wanted]
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        return values
    raise InvalidArgument(f"invalid filter {key!r}: its values must be a list or an object of Booleans")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
