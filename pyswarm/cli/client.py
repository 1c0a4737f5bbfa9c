"""HTTP to the daemon's unix socket, with the standard library alone: importing a client library takes too long."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, TypeVar
from urllib.parse import quote, urlencode

from core.errors import FailedPrecondition, InvalidArgument, Unavailable
from pyswarm.cli.errors import ApiError, CannotConnect
from pyswarm.cli.host import DEFAULT_SOCKET
from pyswarm.cli.json_types import Json

API_VERSION = "v1.44"
_CHUNK = 65536
T = TypeVar("T")


class Client:
    """One daemon. Every call is a connection of its own; paths are given without the API `version`."""

    def __init__(self, host: str, version: str = API_VERSION) -> None:
        self.host = host
        self._version = version

    @property
    def socket_path(self) -> str:
        scheme, separator, path = self.host.partition("://")
        if scheme != "unix" or not separator or not path.startswith("/"):
            raise FailedPrecondition(f"cannot use host {self.host!r}: write it like unix://{DEFAULT_SOCKET}")
        return path

    def is_up(self) -> bool:
        try:
            self.get("/_ping", parse=False)
        except CannotConnect:
            return False
        return True

    def get(
        self,
        path: str,
        query: Mapping[str, object] | None = None,
        parse: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        return self._call("GET", path, query, None, parse, headers)

    def post(
        self,
        path: str,
        body: Json = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        return self._call("POST", path, query, body, True, headers)

    def delete(self, path: str, query: Mapping[str, object] | None = None) -> None:
        self._call("DELETE", path, query, None, True, None)

    def upload(self, path: str, file: BinaryIO, query: Mapping[str, object], headers: Mapping[str, str]) -> Json:
        """Sends `file` piece by piece."""
        return json.loads(self._do(self._send("POST", path, query, file, headers).read))

    def stream(
        self, path: str, query: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """The answer's bytes as they come, until the daemon ends it."""
        response = self._send("GET", path, query, None, headers)
        while chunk := self._do(lambda: response.read1(_CHUNK)):
            yield chunk

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: Json,
        parse: bool,
        headers: Mapping[str, str] | None,
    ) -> Json:
        data, kind = (None, {}) if body is None else (json.dumps(body), {"Content-Type": "application/json"})
        answer = self._do(self._send(method, path, query, data, {**kind, **(headers or {})}).read)
        return json.loads(answer, parse_float=_number) if parse and answer else None

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: str | BinaryIO | None,
        headers: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        target = f"/{self._version}{path}"
        if query:
            target += "?" + urlencode({key: _parameter(value) for key, value in query.items()})
        connection = _UnixConnection(self.socket_path)
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError):
            raise CannotConnect(
                f"Cannot connect to the pyswarm daemon at {self.host}. Is the pyswarm daemon running?"
            ) from None
        except PermissionError:
            raise FailedPrecondition(
                f"permission denied on {self.host}: run this as root, or as a member of the socket's group"
            ) from None
        except OSError as error:
            raise FailedPrecondition(f"cannot use host {self.host!r}: {error.strerror or error}") from None
        self._do(lambda: connection.request(method, target, body, dict(headers or {})))
        response = self._do(connection.getresponse)
        if response.status >= 400:
            raise ApiError(response.status, _message(self._do(response.read)))
        return response

    def _do(self, step: Callable[[], T]) -> T:
        """Does a step of a call. Raises Unavailable if the daemon ends in the middle of it."""
        try:
            return step()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the daemon at {self.host} broke off the call: {error!r}") from None


def path_to(collection: str, reference: str) -> str:
    """The path of one object of `/services`, `/nodes` or `/tasks`. Raises InvalidArgument for what names none."""
    if reference in ("", ".", ".."):
        raise InvalidArgument(f"{reference!r} is no name and no id")
    return f"{collection}/{quote(reference, safe='')}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | getattr(socket, "SOCK_CLOEXEC", 0))
        self.sock.connect(self._path)


def _parameter(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value)


def _number(text: str) -> float:
    """A whole number is shown without a fraction, as Go shows it."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or "the daemon gave no reason"
