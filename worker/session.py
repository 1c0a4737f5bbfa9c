"""One registration with one manager: a bidirectional stream that ends with its first error."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import grpc

from core import codec
from core.clock import SECOND
from core.errors import DeadlineExceeded, FailedPrecondition, Unavailable
from core.logs import logger
from core.model import Config, Dependency, DependencyKey, IngressAck, IngressState, NodeDescription, Secret, Task
from core.rpc import error_of
from proto import dispatcher_pb2 as pb
from worker.executor import Controller
from worker.link import Dispatcher
from worker.logs import LogPublisher
from worker.reporter import Reporter, nobody

REPORT_TIMEOUT = 5.0
"""Seconds after which a status report that is not acked is sent again."""
DEFAULT_HEARTBEAT = 1.0

log = logger("worker.session")


class Handler(Protocol):
    """What is done with what a manager says. All `on_` methods are called on the loop and return at once."""

    def on_welcome(self) -> None: ...
    def on_info(self, info: pb.SessionInfo) -> None: ...
    def on_dependencies(self, complete: bool, held: list[Dependency], removed: list[DependencyKey]) -> None:
        """Secrets and configs, before the tasks that use them: all of them, or those that are new."""
        ...

    def on_complete(self, tasks: list[Task]) -> None: ...
    def on_incremental(self, tasks: list[Task], removed: list[str]) -> None: ...
    def on_released(self, task_ids: list[str]) -> None: ...
    def on_ingress(self, state: IngressState) -> None: ...
    async def controller(self, task_id: str) -> Controller | None: ...


class Session:
    def __init__(self, dispatcher: Dispatcher, handler: Handler, reporter: Reporter) -> None:
        self._dispatcher = dispatcher
        self._handler = handler
        self._reporter = reporter
        self._call = dispatcher.Session()
        self._ended = False
        self._logs: LogPublisher | None = None
        self._wake = asyncio.Event()
        self._heartbeat_due = False
        self._period = DEFAULT_HEARTBEAT
        self._ack: IngressAck | None = None
        self._held: pb.HeldCertificate | None = None
        self._report_age = 0.0
        self._parts: list[pb.Assignments] = []
        """Of assignments that come in several messages, what has come so far."""
        self._applied: int | None = None
        """Sequence of the last assignments; None before the first."""

    async def run(self, description: NodeDescription, addr: str, patience: float) -> None:
        """Until `end` is called. Any other end is an error of core.errors.

        `patience` is how many seconds to wait for the manager's welcome.
        """
        writer: asyncio.Task[None] | None = None
        self._reporter.on_pending = self._wake.set
        try:
            async with asyncio.timeout(patience):
                register = pb.Register(description=codec.encode(description), addr=addr)
                await self._call.write(pb.AgentMessage(register=register))
                self._welcome(await self._receive())
            writer = asyncio.create_task(self._write())
            while True:
                self._handle(await self._receive())
        except TimeoutError as error:
            raise DeadlineExceeded(f"the manager did not answer within {patience:g} s") from error
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from error
        except asyncio.CancelledError:  # also grpc.aio's word for a call that was cancelled on this side
            if is_cancelled():
                raise
            if not self._ended:
                raise Unavailable("the session broke") from None
        finally:
            self._reporter.on_pending = nobody
            self._call.cancel()
            if writer is not None:
                writer.cancel()
                await asyncio.wait([writer])
            if self._logs is not None:
                await self._logs.close()

    def end(self) -> None:
        self._ended = True
        self._call.cancel()

    def acknowledge(self, ack: IngressAck) -> None:
        """This node's data plane follows `ack.version`; a later ack replaces one that is not yet sent."""
        self._ack = ack
        self._wake.set()

    def holds(self, certificate: pb.HeldCertificate) -> None:
        """What the node holds and trusts has changed; a later word replaces one that is not yet sent."""
        self._held = certificate
        self._wake.set()

    async def _receive(self) -> pb.DispatcherMessage:
        message = await self._call.read()
        if not isinstance(message, pb.DispatcherMessage):
            raise Unavailable("the manager closed the session")
        return message

    def _welcome(self, message: pb.DispatcherMessage) -> None:
        if message.WhichOneof("body") != "welcome":
            raise FailedPrecondition("the manager did not begin with a welcome")
        self._logs = LogPublisher(self._dispatcher, message.welcome.session_id, self._handler.controller)
        self._handler.on_welcome()
        self._inform(message.welcome.info)

    def _handle(self, message: pb.DispatcherMessage) -> None:
        match message.WhichOneof("body"):
            case "info":
                self._inform(message.info)
            case "assignments":
                self._assign(message.assignments)
            case "status_ack":
                self._reporter.acked(message.status_ack.sequence)
            case "ingress":
                self._handler.on_ingress(codec.decode(IngressState, message.ingress))
            case "logs":
                assert self._logs is not None
                self._logs.handle(message.logs)
            case other:
                log.warning("a message this version does not know is left out", body=other)

    def _inform(self, info: pb.SessionInfo) -> None:
        if info.heartbeat_period > 0:
            self._period = info.heartbeat_period / SECOND
        self._handler.on_info(info)

    def _assign(self, assignments: pb.Assignments) -> None:
        """All but secrets and configs are in the last part."""
        self._parts.append(assignments)
        if assignments.more:
            return
        parts, self._parts = self._parts, []
        complete = assignments.kind == pb.Assignments.COMPLETE
        if not complete and assignments.applies_to != self._applied:
            raise FailedPrecondition(
                f"assignments were lost: have {self._applied}, got those for {assignments.applies_to}"
            )
        self._handler.on_dependencies(complete, _held(parts), _removed(assignments))
        tasks = codec.unpack_tasks(assignments.tasks)
        if complete:
            self._handler.on_complete(tasks)
        else:
            self._handler.on_incremental(tasks, list(assignments.removed))
        self._applied = assignments.results_in
        self._handler.on_released(list(assignments.released))

    async def _write(self) -> None:
        """The only writer of the stream (grpc.aio hangs with two)."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._period, self._tick)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._heartbeat_due:
                    self._heartbeat_due = False
                    timer = loop.call_later(self._period, self._tick)
                    await self._call.write(pb.AgentMessage(heartbeat=pb.Heartbeat()))
                if self._ack is not None:
                    ack, self._ack = self._ack, None
                    await self._call.write(pb.AgentMessage(ingress_ack=codec.encode(ack)))
                if self._held is not None:
                    held, self._held = self._held, None
                    await self._call.write(pb.AgentMessage(certificate=held))
                if self._applied is not None and (report := self._reporter.take()) is not None:
                    self._report_age = 0.0
                    await self._call.write(pb.AgentMessage(status=report))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            log.debug("the stream has ended", error=str(error))
        except Exception:
            log.exception("cannot send")
            self._call.cancel()
        finally:
            timer.cancel()

    def _tick(self) -> None:
        self._heartbeat_due = True
        self._report_age += self._period
        if self._report_age >= REPORT_TIMEOUT:
            self._report_age = 0.0
            self._reporter.retry()
        self._wake.set()


def _held(parts: Iterable[pb.Assignments]) -> list[Dependency]:
    held: list[Dependency] = []
    for part in parts:
        held += [codec.decode(Secret, secret) for secret in part.secrets]
        held += [codec.decode(Config, config) for config in part.configs]
    return held


def _removed(assignments: pb.Assignments) -> list[DependencyKey]:
    secrets: list[DependencyKey] = [(Secret, secret_id) for secret_id in assignments.removed_secrets]
    return [*secrets, *((Config, config_id) for config_id in assignments.removed_configs)]


def is_cancelled() -> bool:
    """Whether somebody wants the running task to end. gRPC takes a cancellation that comes while a call begins for the
    call's, and the task would go on with what the manager answered."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
