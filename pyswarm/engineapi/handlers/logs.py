"""Logs of a service or of one task."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from core.errors import InvalidArgument, PyswarmError
from core.logs import logger
from core.model import LogLine, LogOptions, TaskSpec
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.request import control, flag, moment
from pyswarm.engineapi.wire.log_frames import Stream, error_text, framed, log_text, unframed

log = logger("pyswarm.engineapi")

_FRAMES = "application/vnd.docker.multiplexed-stream"
_RAW = "application/vnd.docker.raw-stream"
_MAX_TAIL = 2**31 - 1


async def of_service(request: web.Request) -> web.StreamResponse:
    cluster, options = control(request), _read_options(request)
    service = await ask(cluster.get_service(request.match_info["ref"]))
    return await _stream(request, cluster.logs([service.id], [], options), service.spec.task)


async def of_task(request: web.Request) -> web.StreamResponse:
    cluster, options = control(request), _read_options(request)
    task = await ask(cluster.get_task(request.match_info["ref"]))
    return await _stream(request, cluster.logs([], [task.id], options), task.spec)


async def _stream(request: web.Request, lines: AsyncGenerator[LogLine, None], spec: TaskSpec) -> web.StreamResponse:
    """The headers go at once, so that a follower of a silent service knows that it is heard. What a terminal showed
    goes as it is, without frames.

    A reader that goes away ends it; there is nobody to tell.
    """
    timestamps, details = flag(request, "timestamps"), flag(request, "details")
    kind, pack = (_RAW, unframed) if spec.container.tty else (_FRAMES, framed)
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    try:
        try:
            async with aclosing(lines):
                async for line in lines:
                    stream = Stream.STDERR if line.stderr else Stream.STDOUT
                    await response.write(pack(stream, log_text(line, timestamps=timestamps, details=details)))
        except PyswarmError as error:
            await response.write(pack(Stream.SYSTEM, error_text(error.message)))
        await response.write_eof()
    except ConnectionResetError:
        log.debug("the reader of a log went away", path=request.path)
    return response


def _read_options(request: web.Request) -> LogOptions:
    """Raises InvalidArgument."""
    stdout, stderr = flag(request, "stdout"), flag(request, "stderr")
    if not (stdout or stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    if request.query.get("until", "0") not in ("", "0"):
        raise InvalidArgument("until is not supported for the logs of services and tasks")
    return LogOptions(
        stdout=stdout,
        stderr=stderr,
        follow=flag(request, "follow"),
        since=moment(request, "since") or 0,
        tail=_read_tail(request.query.get("tail", "")),
        details=flag(request, "details"),
    )


def _read_tail(text: str) -> int:
    """Lines; -1 for all."""
    if text in ("", "all"):
        return -1
    if text.startswith("-"):
        raise InvalidArgument("negative tail values not supported: give a number of lines, or all")
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= _MAX_TAIL):
        raise InvalidArgument(f"invalid tail {text!r}: give a number of lines, or all")
    return int(text)


ROUTES = [
    web.get("/services/{ref}/logs", of_service),
    web.get("/tasks/{ref}/logs", of_task),
]
