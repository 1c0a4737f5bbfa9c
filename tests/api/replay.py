"""Recorded conversations of the docker command with dockerd, held with pyswarm instead."""

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import aiohttp

from tests.api.comparator import Comparator

_TRANSCRIPTS = Path(__file__).parent / "transcripts"
_VERSION = re.compile(r"(?<=[?&]version=)\d+")


class Replay:
    """One story: the transcripts are played in order, and what the first ones name the later ones use."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.comparator = Comparator()

    async def play(self, name: str) -> None:
        """Sends every request of the transcript, translated, and raises AssertionError with all that differs."""
        _, *exchanges = read_transcript(name)
        differences: list[str] = []
        for exchange in exchanges:
            differences += await self._hold(exchange)
        assert not differences, "\n".join([f"{name}:", *differences])

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A step of the story that was not recorded. `path` and `body` name things by their recorded ids."""
        async with self._request(method, self.comparator.translate(path), body, "") as response:
            assert response.status < 300, await response.text()
            return json.loads(await response.read() or b"null")

    async def _hold(self, exchange: dict[str, Any]) -> list[str]:
        method, path = exchange["method"], exchange["path"]
        endpoint = path.split("?")[0].split("/")[2]
        translated = quote(self.comparator.translate(unquote(path)), safe="/?&=")
        translated = _VERSION.sub(lambda match: self.comparator.ours[match[0]], translated)
        async with self._request(method, translated, exchange.get("request"), exchange.get("auth", "")) as response:
            data = await response.read()
            found: list[str] = []
            if response.status != exchange["status"]:
                found.append(f"status {response.status} instead of {exchange['status']}: {data[:300]!r}")
            if exchange.get("type") not in (None, response.headers.get("Content-Type")):
                found.append(f"type {response.headers.get('Content-Type')} instead of {exchange['type']}")
            found += self._hold_body(endpoint, exchange, data)
        return [f"  {method} {path}: {item}" for item in found]

    def _hold_body(self, endpoint: str, exchange: dict[str, Any], data: bytes) -> list[str]:
        recorded = exchange.get("answer")
        if recorded is None:
            return [] if data == b"" else [f"a body where there was none: {data[:100]!r}"]
        if isinstance(recorded, dict) and "b64" in recorded:
            wanted = self.comparator.translate(base64.b64decode(recorded["b64"]).decode("latin-1")).encode("latin-1")
            return [] if data == wanted else [f"frames {data!r} instead of {wanted!r}"]
        ours = json.loads(data)
        if endpoint == "info":
            ours = {"Swarm": ours["Swarm"]}  # the rest is the engine's own, passed through
        if isinstance(recorded, str):
            endpoint, recorded, ours = f"{endpoint}.ID", recorded, ours
        return self.comparator.differences(endpoint, recorded, ours, cut="cut" in exchange)

    def _request(self, method: str, path: str, body: Any, auth: str) -> Any:
        data = None if body is None else self.comparator.translate(json.dumps(body)).encode()
        headers = {"Content-Type": "application/json", **({"X-Registry-Auth": auth} if auth else {})}
        return self._session.request(method, f"http://docker{path}", data=data, headers=headers)


def read_transcript(name: str) -> list[dict[str, Any]]:
    """First the command with its exit code and output, then each request with its answer."""
    return [json.loads(line) for line in (_TRANSCRIPTS / f"{name}.jsonl").read_text().splitlines()]
