"""Load on web servers from a process of its own: connections opened anew, one request on each, all answers checked."""

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

AT_ONCE = 16
TIMEOUT = 20.0
"""Seconds for a whole request."""
MOST_FAILURES = 20
"""That are told apart."""

Address = tuple[str, int]


@dataclass
class Seen:
    requests: int = 0
    """Per run of the load, failed ones included."""
    failures: list[str] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)


@dataclass
class Load:
    """Goes on until the context ends; `seen` is complete then."""

    seen: Seen
    _pipe: Connection

    def requests(self) -> int:
        """So far."""
        self._pipe.send("count")
        count: int = self._pipe.recv()
        return count


@contextmanager
def load_on(addresses: Sequence[Address]) -> Iterator[Load]:
    """GET / at each address in turn, AT_ONCE at any time."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(addresses, there), daemon=True)
    process.start()
    load = Load(Seen(), here)
    try:
        yield load
        here.send("stop")
        load.seen = here.recv()
    finally:
        process.kill()
        process.join()


def _run(addresses: Sequence[Address], pipe: Connection) -> None:
    pipe.send(asyncio.run(_load(addresses, pipe)))


async def _load(addresses: Sequence[Address], pipe: Connection) -> Seen:
    seen, stopped = Seen(), asyncio.Event()

    def listen() -> None:
        if pipe.recv() == "stop":
            stopped.set()
        else:
            pipe.send(seen.requests)

    asyncio.get_running_loop().add_reader(pipe.fileno(), listen)
    await asyncio.gather(*(_ask(addresses, number, seen, stopped) for number in range(AT_ONCE)))
    return seen


async def _ask(addresses: Sequence[Address], number: int, seen: Seen, stopped: asyncio.Event) -> None:
    while not stopped.is_set():
        address = addresses[number % len(addresses)]
        number += 1
        seen.requests += 1
        try:
            async with asyncio.timeout(TIMEOUT):
                seen.answers.add(await _get(*address))
        except (OSError, TimeoutError, ValueError) as error:
            if len(seen.failures) < MOST_FAILURES:
                seen.failures.append(f"{address[0]}: {error!r}")


async def _get(host: str, port: int) -> str:
    """Raises OSError, and ValueError for another answer than a whole page."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        if " 200 " not in head.partition("\r\n")[0] or not body.endswith("\n"):
            raise ValueError(f"answered {head[:60]!r} {body[:60]!r}")
        return body.strip()
    finally:
        writer.close()
