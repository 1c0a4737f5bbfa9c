"""The daemon's side of the relay: starts it or takes over the one that runs, and keeps it up to date."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.clock import SECOND
from core.errors import DeadlineExceeded, InvalidArgument, PyswarmError, Unavailable
from core.logs import logger
from core.model import IngressAck, IngressState, PortError
from identity.credentials import Credentials
from ingress import control, process
from ingress.channel import Channel
from ingress.control import Message, Settings
from ingress.plan import plan
from ingress.routes import EMPTY, Plan, difference, to_json

STOP_LIMIT = 5.0
"""Seconds a relay has to make way before it is killed."""
EXIT_LIMIT = 1.0
"""Seconds after which a relay that closed its control socket is taken to live on, and spoken to again."""
RESTART_PAUSE = 0.1
"""Seconds before a relay that could not be started is tried again; doubled with every failure in a row."""
LONGEST_PAUSE = 5.0
REPLACE_DRAIN = 60 * SECOND
"""How long a relay of another version may go on with the connections it has, when ours takes its place."""
LONGEST_PATH = 107
"""Bytes in the address of a unix socket."""

log = logger("ingress")


class RelayPorts:
    """Implements core.model.PublishedPorts with the relay that is controlled through the unix socket `path`."""

    def __init__(
        self,
        path: Path,
        credentials: Credentials,
        settings: Settings | None = None,
        on_ports: Callable[[IngressAck], None] | None = None,
    ) -> None:
        """`on_ports` is told when a port is lost, or served after all, without a call of `apply`."""
        self._path = path
        self._credentials = credentials
        self._settings = settings or Settings()
        self._on_ports = on_ports
        self.unserved: tuple[PortError, ...] = ()
        """The published ports that this node cannot serve, and why."""
        self._channel: Channel | None = None
        self._connected = asyncio.Event()
        self._turn = asyncio.Lock()
        """One at a time changes what the relay does."""
        self._wanted: Plan | None = None
        self._applied: Plan | None = None
        """What the relay is known to do; None before it has been told."""
        self._supervisor: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once a relay runs. From then on it is started again whenever it goes.

        Raises Unavailable if it cannot be started, InvalidArgument if the path is longer than a socket's may be.
        """
        if len(os.fsencode(self._path)) > LONGEST_PATH:
            raise InvalidArgument(f"{self._path} is too long for a socket ({LONGEST_PATH} bytes): use another folder")
        await self._connect()
        self._supervisor = asyncio.create_task(self._supervise())

    async def apply(self, state: IngressState) -> IngressAck:
        """See PublishedPorts. Waits for a relay; raises Unavailable or DeadlineExceeded if it goes meanwhile."""
        self._wanted = plan(state, self._credentials.identity.node_id)
        await self._connected.wait()
        async with self._turn:
            return await self._push()

    async def rotate(self, credentials: Credentials) -> None:
        """New connections between relays use these; open ones end with their last stream."""
        self._credentials = credentials
        async with self._turn:
            if self._channel is not None:
                with suppress(Unavailable, DeadlineExceeded):  # the next relay gets them when it starts
                    await self._hand_over(self._channel)

    async def stats(self) -> Message:
        """The relay's counters. Raises Unavailable, DeadlineExceeded."""
        if self._channel is None:
            raise Unavailable("the relay is not running")
        return await self._channel.call("stats")

    async def stop(self, kill: bool = False) -> None:
        """Lets go of the relay, which goes on with its last plan; with `kill`, ends it and its connections."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        if kill:
            await end_relay(self._path)
        self._let_go()

    async def _supervise(self) -> None:
        pause = RESTART_PAUSE
        while True:
            if self._channel is not None:
                await asyncio.wait([self._channel.closed])
                self._connected.clear()
                log.warning("the relay has gone; it is started again", pid=self._channel.relay_pid)
                await process.gone(self._channel.relay_pid, within=EXIT_LIMIT)
                self._let_go()
            try:
                await self._connect()
                pause = RESTART_PAUSE
            except Exception:
                log.exception("the relay cannot be started", retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    async def _connect(self) -> None:
        """Takes over the relay that runs or starts one, and tells it what it needs. Raises PyswarmError, OSError."""
        channel = await self._adopted()
        if channel is None:
            pid = await process.spawn(self._path, self._settings)
            channel = await Channel.connect(self._path, self._on_event)
            log.info("relay started", pid=pid)
        async with self._turn:
            await self._hand_over(channel)
            self._channel = channel
            self._applied = None
            if self._wanted is not None:
                await self._push()
        self._connected.set()

    async def _adopted(self) -> Channel | None:
        """The relay that runs already, if it is one of ours; another one makes way."""
        try:
            channel = await Channel.connect(self._path, self._on_event)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        try:
            hello = await channel.call("hello")
        except PyswarmError as error:
            log.warning("a relay is in the way", pid=channel.relay_pid, error=error.message)
        else:
            if hello.get("version") == control.VERSION and hello.get("settings") == list(self._settings):
                log.info("relay taken over", pid=channel.relay_pid, plan_version=hello.get("plan_version"))
                return channel
        await _make_way(channel, REPLACE_DRAIN)
        return None

    async def _hand_over(self, channel: Channel) -> None:
        bundle = self._credentials.bundle
        await channel.call(
            "tls",
            key=bundle.key.decode(),
            certificate=bundle.certificate.decode(),
            root=bundle.root.decode(),
            cluster_id=self._credentials.identity.cluster_id,
        )

    async def _push(self) -> IngressAck:
        """Tells the relay what is wanted now, as a change of what it does if that is known."""
        channel, wanted = self._channel, self._wanted
        if channel is None or wanted is None:
            raise Unavailable("the relay is not running")
        applied, self._applied = self._applied, None
        base = applied.version if applied is not None else None
        answer = await channel.call("plan", base=base, change=to_json(difference(applied or EMPTY, wanted)))
        self._applied = wanted
        return self._acknowledged(wanted.version, answer)

    def _on_event(self, event: Message) -> None:
        if event["event"] == "ports" and self._on_ports is not None:
            self._on_ports(self._acknowledged(int(event["version"]), event))
        else:
            _tell(event)

    def _acknowledged(self, version: int, message: Message) -> IngressAck:
        """Who reads this node's log hears of every port once."""
        errors = tuple(PortError(int(port), str(text)) for port, text in message.get("errors", ()))
        for error in errors:
            if error not in self.unserved:
                log.warning("a published port is not served on this node", reason=error.message)
        self.unserved = errors
        return IngressAck(version, errors)

    def _let_go(self) -> None:
        self._connected.clear()
        if self._channel is not None:
            self._channel.close()
            self._channel = None


async def end_relay(path: Path) -> None:
    """Ends the relay that is controlled through the unix socket `path`, if one runs, and its connections."""
    try:
        channel = await Channel.connect(path, _tell)
    except OSError:
        return  # none listens
    await _make_way(channel, drain=0)


async def _make_way(channel: Channel, drain: int) -> None:
    """Returns once the relay listens on nothing any more; one that does not answer is killed."""
    pid = channel.relay_pid
    try:
        await channel.call("stop", drain=drain)
        await asyncio.wait_for(asyncio.shield(channel.closed), STOP_LIMIT)
        if drain or await process.gone(pid, STOP_LIMIT):
            return
    except (PyswarmError, TimeoutError) as error:
        log.warning("the relay does not stop and is killed", pid=pid, error=str(error))
    finally:
        channel.close()
    await process.end(pid, signal.SIGKILL, STOP_LIMIT)


def _tell(event: Message) -> None:
    if event["event"] == "log":
        log.info(str(event.get("message")), **dict(event.get("fields", {})))
