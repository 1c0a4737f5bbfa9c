"""Renewing a node's certificate while everything runs."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from random import Random

import grpc

from core.backoff import Backoff
from core.clock import SECOND, Clock
from core.errors import NotLeader, PyswarmError, Unavailable
from core.logs import logger
from core.model import Role
from core.rpc import error_of
from identity.credentials import Credentials
from identity.files import save
from identity.keys import new_key_and_csr
from identity.model import MANAGER_NAME
from identity.root import BACKDATE
from proto import ca_pb2 as pb
from proto.ca_pb2_grpc import NodeCAStub

log = logger("node.renewal")

Ask = Callable[[bytes], Awaitable[pb.IssueCertificateResponse]]

_RECHECK = 60.0
"""Seconds after which the clock is looked at again: it may have jumped, or the machine may have slept."""
_ASK_SECONDS = 10.0


def renewal_time(not_before: int, expires_at: int, rng: Random) -> int:
    """When to renew: at a random 50 to 80 % of a certificate's life (ns), so that nodes that joined together do not
    all come at once. The back-dated hour is not counted as life."""
    issued_at = min(not_before + BACKDATE, expires_at)
    return issued_at + int((expires_at - issued_at) * rng.uniform(0.5, 0.8))


async def ask_managers(credentials: Credentials, managers: Iterable[str], csr: bytes) -> pb.IssueCertificateResponse:
    """The first answer of `managers` (host:port); a follower's word on who leads is followed.

    Raises what the last one said.
    """
    request = pb.RenewCertificateRequest(csr=csr)
    waiting = deque(managers)
    asked: set[str] = set()
    last: PyswarmError = Unavailable("no manager is known to ask for a new certificate")
    while waiting:
        address = waiting.popleft()
        if address in asked:
            continue
        asked.add(address)
        try:
            async with credentials.channel(address, MANAGER_NAME) as channel:
                return await NodeCAStub(channel).RenewCertificate(request, timeout=_ASK_SECONDS)
        except grpc.aio.AioRpcError as failure:
            last = error_of(failure)
            if isinstance(last, NotLeader) and last.leader:
                waiting.appendleft(last.leader)
    raise last


class Renewer:
    """Keeps `credentials` valid, and their role the one the cluster wants.

    `ask` gets a certificate for a request, and raises a PyswarmError if it cannot; `clock` is the wall clock. New
    credentials are saved to `folder`.
    """

    def __init__(self, credentials: Credentials, folder: Path, ask: Ask, clock: Clock, rng: Random) -> None:
        self._credentials = credentials
        self._folder = folder
        self._ask = ask
        self._clock = clock
        self._rng = rng
        self._backoff = Backoff(rng, first=1.0, limit=60.0)
        self._wanted = credentials.identity.role
        self._look = asyncio.Event()
        self._due = 0
        self._saved = True
        self.problem = ""
        """Why the certificate could not be renewed, for the user; empty when all is well."""

    def want_role(self, role: Role) -> None:
        """The cluster wants the node to have `role`: if it is another than the certificate's, it is renewed at once."""
        self._wanted = role
        self._look.set()

    def look(self) -> None:
        """Looks at the clock again, now."""
        self._look.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        self._plan()
        while True:
            try:
                await self._save()
                await self._until_due()
                await self._renew()
            except PyswarmError as error:
                self._failed(error)
                await asyncio.sleep(self._backoff.next())

    def _plan(self) -> None:
        self._due = renewal_time(self._credentials.not_before, self._credentials.expires_at, self._rng)

    async def _until_due(self) -> None:
        while self._credentials.identity.role is self._wanted and (left := self._due - self._clock.now()) > 0:
            self.problem = ""
            self._backoff.reset()
            self._look.clear()
            try:
                async with asyncio.timeout(min(left / SECOND, _RECHECK)):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _renew(self) -> None:
        key, csr = new_key_and_csr()
        answer = await self._ask(csr)
        self._credentials.replace(key, bytes(answer.certificate), bytes(answer.root))
        self._plan()
        self._saved = False
        await self._save()
        log.info("certificate renewed", role=self._credentials.identity.role.name.lower())
        if self._credentials.identity.role is not self._wanted:
            raise Unavailable(f"the cluster has not made this node a {self._wanted.name.lower()} yet")
        if self._due <= self._clock.now():
            raise _ClocksDiffer

    async def _save(self) -> None:
        """What a full disk did not take is tried again: after a restart the node has only what is saved."""
        if self._saved:
            return
        try:
            await asyncio.to_thread(save, self._folder, self._credentials.bundle)
        except OSError as error:
            raise Unavailable(f"cannot save the new certificate to {self._folder}: {error.strerror}") from error
        self._saved = True

    def _failed(self, error: PyswarmError) -> None:
        reason = error.message
        if self._credentials.expires_at <= self._clock.now() and not isinstance(error, _ClocksDiffer):
            reason = (
                "this node's certificate has expired, so managers refuse it; if its clock is right, run "
                f"`pyswarm leave --force` and join again with a token ({reason})"
            )
        self.problem = reason
        log.warning("certificate not renewed", reason=reason)


class _ClocksDiffer(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            "a certificate that a manager has just issued is an old one by the clock here: set this node's clock, or "
            "the managers', right"
        )
