"""The events of the cluster, from this manager's own copy of it, and of the node's own engine, in one stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from time import time_ns
from urllib.parse import urlencode

from aiohttp import web

from core.clock import SECOND
from core.errors import FailedPrecondition, InvalidArgument, PyswarmError
from core.logs import logger
from manager.watch import Selector
from pyswarm.engineapi.answer import JSON, as_json
from pyswarm.engineapi.engine import EngineGone, LocalEngine
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.event_filter import LOCAL, SWARM, EventFilter
from pyswarm.engineapi.merge import merged
from pyswarm.engineapi.ports import ControlApi, NotManager
from pyswarm.engineapi.request import ENGINE, control, filters, moment
from pyswarm.engineapi.wire.events import TYPES, show_events
from pyswarm.engineapi.wire.json_types import Json

_NEVER = 2**63
_SELECTORS = [Selector(kinds=frozenset(TYPES))]

log = logger("pyswarm.engineapi")


async def events(request: web.Request) -> web.StreamResponse:
    """Those since `since` that are still known, in the order of their times; then, unless `until` has passed, those
    that come until then."""
    wanted = EventFilter(filters(request))
    since, until, now = moment(request, "since"), moment(request, "until"), time_ns()
    if since is not None and until is not None and until < since:
        raise InvalidArgument(f"`since` time ({since // SECOND}) cannot be after `until` time ({until // SECOND})")
    sources: list[_Swarm | _Local] = []
    if wanted.wants(SWARM):
        with suppress(NotManager):
            sources.append(_Swarm(control(request), wanted))
    if wanted.wants(LOCAL):
        sources.append(_Local(request.app[ENGINE], request.query.get("filters", "")))
    begin, end = _NEVER if since is until is None else since or 0, _NEVER if until is None else until
    past = [event for source in sources for event in await source.past(begin, end, now)]
    response = web.StreamResponse(headers=JSON)
    await response.prepare(request)
    try:
        for event in sorted(past, key=lambda event: int(event["timeNano"])):
            await response.write(as_json(event) + b"\n")
        if until is None or until > now:
            await _follow(response, sources, None if until is None else (until - now) / SECOND)
        await response.write_eof()
    except ConnectionResetError:
        log.debug("the reader of events went away")
    except PyswarmError as error:
        log.info("a stream of events ends", reason=error.message)
    return response


async def _follow(response: web.StreamResponse, sources: "list[_Swarm | _Local]", seconds: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), aclosing(merged(*(source.live() for source in sources))) as stream:
            async for event in stream:
                await response.write(as_json(event) + b"\n")


@dataclass
class _Swarm:
    control: ControlApi
    wanted: EventFilter
    version: int | None = None
    """What has been told so far."""

    async def past(self, since: int, until: int, now: int) -> list[Json]:
        """Up to `until`, though it be after `now`: the leader's clock may be ahead of this one."""
        found, self.version = await ask(self.control.past(_SELECTORS, since))
        return [
            event
            for changes in found
            if changes.at <= until
            for event in show_events(changes)
            if self.wanted.passes(event)
        ]

    async def live(self) -> AsyncIterator[Json]:
        """Where changes are lost, as a snapshot came in their place, it goes on with those that follow."""
        while True:
            try:
                async with aclosing(self.control.watch(_SELECTORS, self.version)) as stream:
                    async for changes in stream:
                        self.version = changes.version
                        for event in show_events(changes):
                            if self.wanted.passes(event):
                                yield event
            except FailedPrecondition as error:
                log.warning("events are lost", reason=error.message)
                self.version = None


@dataclass
class _Local:
    """The engine filters by itself, and is left out while it does not answer."""

    engine: LocalEngine
    filters: str
    now: int = 0

    async def past(self, since: int, until: int, now: int) -> list[Json]:
        self.now = now
        if since >= now:
            return []
        return [event async for event in self._read(since=since, until=min(until, now))]

    async def live(self) -> AsyncIterator[Json]:
        async for event in self._read(since=self.now):
            yield event

    async def _read(self, **bounds: int) -> AsyncIterator[Json]:
        query = {name: f"{at // SECOND}.{at % SECOND:09}" for name, at in bounds.items()}
        if self.filters:
            query["filters"] = self.filters
        with suppress(EngineGone):
            async for event in self.engine.lines(f"/events?{urlencode(query)}"):
                if event.get("scope") == LOCAL:
                    yield event


ROUTES = [web.get("/events", events)]
