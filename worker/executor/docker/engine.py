"""The engine's HTTP interface, as far as tasks need it, with its errors told apart.

aiodocker does the talking. Its own event and log readers lose the difference between an end and a broken connection,
so those two streams are read here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiodocker import Docker, DockerError

from worker.executor import TaskError, TemporaryError

DEFAULT_URL = "unix:///var/run/docker.sock"
_UNIX = "unix://"
_NO_CONNECTION = 900
"""aiodocker's status for an engine that cannot be reached."""
_INFO_TIMEOUT = 5.0


class EngineGone(TemporaryError):
    """The engine does not answer."""


class EngineError(TaskError):
    """The engine refused. `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Engine:
    """To be made on the loop. Every call raises EngineGone or EngineError."""

    def __init__(self, url: str = DEFAULT_URL) -> None:
        self.url = url
        # Each stop waits for its container and each followed log lasts, so connections are not limited in number.
        self._connector: aiohttp.BaseConnector
        if url.startswith(_UNIX):
            self._connector = aiohttp.UnixConnector(url.removeprefix(_UNIX), limit=0)
            url = _UNIX + "localhost"
        else:
            self._connector = aiohttp.TCPConnector(limit=0)
        self._docker = Docker(url, connector=self._connector)

    async def close(self) -> None:
        await self._docker.close()
        await self._connector.close()

    async def info(self) -> Mapping[str, Any]:
        async with _told_apart(self.url), asyncio.timeout(_INFO_TIMEOUT):
            info: Mapping[str, Any] = await self._docker.system.info()
            return info

    async def api_version(self) -> tuple[int, int]:
        """The version spoken to this engine, asked for once."""
        async with _told_apart(self.url):
            await self._docker._check_version()
            major, minor = self._docker.api_version.removeprefix("v").split(".")
            return int(major), int(minor)

    async def create(self, name: str, config: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
        """The new container's id, and what the engine warns of."""
        async with _told_apart(self.url):
            made = await self._docker._query_json(
                "containers/create", method="POST", params={"name": name}, data=json.dumps(config)
            )
            return made["Id"], made.get("Warnings") or ()

    async def start(self, container_id: str) -> None:
        """Also fine if it has been started."""
        async with _told_apart(self.url):
            await self._docker.containers.container(container_id).start()

    async def stop(self, container_id: str) -> None:
        """With its own stop signal and grace. Returns when it has stopped; also fine if it had."""
        async with _told_apart(self.url):
            await self._docker.containers.container(container_id).stop()

    async def remove(self, container_id: str) -> None:
        """By force, with its unnamed volumes."""
        async with _told_apart(self.url):
            await self._docker.containers.container(container_id).delete(force=True, v=True)

    async def inspect(self, container: str) -> Mapping[str, Any]:
        """By id or name."""
        async with _told_apart(self.url):
            return await self._docker.containers.container(container).show()

    async def list(self, labels: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """All containers with these labels, also stopped ones."""
        async with _told_apart(self.url):
            params = {"all": "true", "filters": _filters(label=_pairs(labels))}
            found: Sequence[Mapping[str, Any]] = await self._docker._query_json("containers/json", params=params)
            return found

    async def pull(self, image: str, registry_auth: str) -> None:
        """Without a tag or digest: the tag `latest`. `registry_auth` is Docker's X-Registry-Auth, or empty."""
        params = {"fromImage": image}
        if "@" not in image and ":" not in image.rpartition("/")[2]:
            params["tag"] = "latest"
        headers = {"X-Registry-Auth": registry_auth} if registry_auth else {}
        async with (
            _told_apart(self.url),
            self._docker._query("images/create", "POST", params=params, headers=headers, timeout=None) as response,
        ):
            try:
                async for progress in _json_lines(response):
                    if "error" in progress:
                        raise EngineError(response.status, progress["error"])
            finally:
                response.close()

    @asynccontextmanager
    async def events(self, labels: Mapping[str, str], since: int) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
        """Ends, removals and health of containers with these labels, from `since` (seconds since the epoch) on.
        Everything that happens after this has been entered is in the stream."""
        filters = _filters(type=["container"], event=["die", "destroy", "health_status"], label=_pairs(labels))
        async with (
            _told_apart(self.url),
            self._docker._query("events", params={"since": since, "filters": filters}) as response,
        ):
            try:
                yield _json_lines(response)
            finally:
                response.close()

    @asynccontextmanager
    async def logs(self, container_id: str, params: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The raw bytes of a container's log."""
        async with (
            _told_apart(self.url),
            self._docker._query(f"containers/{container_id}/logs", params=params) as response,
        ):
            try:
                yield response.content.iter_any()
            finally:
                response.close()


@asynccontextmanager
async def _told_apart(url: str) -> AsyncIterator[None]:
    try:
        yield
    except DockerError as error:
        if error.status == _NO_CONNECTION:
            raise EngineGone(f"cannot connect to the Docker Engine at {url}: is it running?") from error
        raise EngineError(error.status, error.message) from error
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        raise EngineGone(f"the Docker Engine at {url} does not answer: {error or type(error).__name__}") from error


async def _json_lines(response: aiohttp.ClientResponse) -> AsyncIterator[Mapping[str, Any]]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _filters(**filters: Sequence[str]) -> str:
    return json.dumps(filters)


def _pairs(labels: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in labels.items()]
