"""Renewing a node's certificate while everything runs."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random

import grpc

from core.backoff import Backoff
from core.clock import SECOND, Clock
from core.errors import NotLeader, PyswarmError, Unavailable
from core.logs import logger
from core.model import Role
from core.rpc import error_of
from identity.credentials import Credentials
from identity.keys import new_key_and_csr
from identity.model import MANAGER_NAME, PemBundle
from identity.root import BACKDATE
from proto import ca_pb2 as pb
from proto.ca_pb2_grpc import NodeCAStub

log = logger("node.renewal")

Ask = Callable[[bytes], Awaitable[pb.IssueCertificateResponse]]

Save = Callable[[PemBundle], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    role: Role
    issuer: str = ""
    """The fingerprint of the root of which the certificate shall be; empty: it may be what it is."""
    root: bytes = field(default=b"", repr=False)
    """Whom to trust (PEM); empty: as now."""


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
    """Keeps `credentials` valid, and them what the cluster wants: of which role, of which root, trusting whom.

    `ask` gets a certificate for a request, and raises a PyswarmError if it cannot; `clock` is the wall clock. `save`
    blocks, and raises OSError.
    """

    def __init__(self, credentials: Credentials, save: Save, ask: Ask, clock: Clock, rng: Random) -> None:
        self._credentials = credentials
        self._save_bundle = save
        self._ask = ask
        self._clock = clock
        self._rng = rng
        self._backoff = Backoff(rng, first=1.0, limit=60.0)
        self._wanted = Wanted(credentials.identity.role)
        self._look = asyncio.Event()
        self._due = 0
        self._unsaved: PemBundle | None = None
        self.problem = ""
        """Why the certificate could not be renewed, for the user; empty when all is well."""

    def want(self, wanted: Wanted) -> None:
        """What the cluster wants: if it is not so, something is done about it at once."""
        self._wanted = wanted
        self._look.set()

    def look(self) -> None:
        """Looks at the clock again, now."""
        self._look.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        self._plan()
        while True:
            try:
                await self._save_late()
                await self._until_due()
                if not self._is_due() and self._can_trust():
                    await self._take(replace(self._credentials.bundle, root=self._wanted.root))
                else:
                    await self._renew()
            except PyswarmError as error:
                self._failed(error)
                await asyncio.sleep(self._backoff.next())

    def _plan(self) -> None:
        self._due = renewal_time(self._credentials.not_before, self._credentials.expires_at, self._rng)

    def _is_due(self) -> bool:
        if self._credentials.identity.role is not self._wanted.role or self._due <= self._clock.now():
            return True
        return self._wanted.issuer not in ("", self._credentials.issuer)

    def _trusts_others(self) -> bool:
        return self._wanted.root not in (b"", self._credentials.bundle.root)

    def _can_trust(self) -> bool:
        """Roots that do not stand behind our own certificate come with the next one."""
        try:
            self._credentials.check(replace(self._credentials.bundle, root=self._wanted.root))
        except PyswarmError:
            return False
        return True

    async def _until_due(self) -> None:
        while not self._is_due() and not self._trusts_others():
            self.problem = ""
            self._backoff.reset()
            self._look.clear()
            try:
                async with asyncio.timeout(min((self._due - self._clock.now()) / SECOND, _RECHECK)):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _renew(self) -> None:
        key, csr = new_key_and_csr()
        answer = await self._ask(csr)
        await self._take(PemBundle(key, bytes(answer.certificate), bytes(answer.root)))
        log.info("certificate renewed", role=self._credentials.identity.role.name.lower())
        if self._credentials.identity.role is not self._wanted.role:
            raise Unavailable(f"the cluster has not made this node a {self._wanted.role.name.lower()} yet")
        if self._due <= self._clock.now():
            raise _ClocksDiffer
        if self._is_due() or (self._trusts_others() and not self._can_trust()):
            raise Unavailable("the managers do not agree yet on the root that certificates are of")

    async def _take(self, bundle: PemBundle) -> None:
        """First to disk: once the cluster hears that this node holds a certificate of a new root, it may give up the
        old one. What a full disk does not take is used all the same, and saved later."""
        self._credentials.check(bundle)
        self._unsaved = bundle
        try:
            await self._save()
        finally:
            self._credentials.replace(bundle)
            self._plan()

    async def _save(self) -> None:
        if self._unsaved is None:
            return
        try:
            await asyncio.to_thread(self._save_bundle, self._unsaved)
        except OSError as error:
            raise Unavailable(f"cannot save the new certificate: {error.strerror}: {error.filename}") from error
        self._unsaved = None

    async def _save_late(self) -> None:
        if self._unsaved is not None:
            await self._save()
            self._credentials.replace(self._credentials.bundle)  # what is on disk is news to some

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
