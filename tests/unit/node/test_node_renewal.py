"""When a certificate is renewed, and that it is swapped while everything runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SECOND, ManualClock
from core.errors import NotLeader, PyswarmError, Unavailable
from core.model import Role
from core.rpc import abort
from identity.access import Context
from identity.certificates import root_fingerprint
from identity.credentials import Credentials
from identity.files import NodeKeys, load_credentials, save
from identity.keys import new_key_and_csr
from identity.model import NodeIdentity, PemBundle
from identity.root import BACKDATE, cross_sign, issue
from proto import ca_pb2 as pb
from proto.ca_pb2_grpc import NodeCAServicer, add_NodeCAServicer_to_server
from pyswarm.node.renewal import Renewer, Wanted, ask_managers, renewal_time
from tests.support.certificates import DAY, HOUR, Issuer
from tests.support.waiting import eventually

NODE = "n" * 25


@given(st.integers(HOUR, 400 * DAY), st.integers())
def test_CA_05_renewal_comes_at_a_random_50_to_80_percent_of_life(life: int, seed: int) -> None:
    issued = 1_700_000_000 * SECOND
    due = renewal_time(issued - BACKDATE, issued + life, Random(seed))
    assert issued + life * 0.5 - 1 <= due <= issued + life * 0.8 + 1


def test_CA_05_nodes_that_joined_together_do_not_renew_together() -> None:
    times = {renewal_time(0, 90 * DAY, Random(seed)) // HOUR for seed in range(100)}
    assert len(times) > 80


class PlayedAuthority:
    """Issues what it is asked for by its own clock, or fails as it is told to."""

    def __init__(self, issuer: Issuer, clock: ManualClock) -> None:
        self.issuer = issuer
        self.clock = clock
        self.role = Role.WORKER
        self.lifetime = 90 * DAY
        self.failures: list[PyswarmError] = []
        self.asked = 0
        self.trusted = issuer.root
        self.behind = b""
        """Goes behind each certificate."""

    async def ask(self, csr: bytes) -> pb.IssueCertificateResponse:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        identity = NodeIdentity(NODE, self.role, self.issuer.cluster_id)
        leaf = issue(self.issuer.root, self.issuer.key, csr, identity, self.clock.now(), self.lifetime)
        return pb.IssueCertificateResponse(node_id=NODE, certificate=leaf + self.behind, root=self.trusted)


class Played:
    """A node's renewer with an authority."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.issuer = Issuer(now=self.clock.now())
        self.authority = PlayedAuthority(self.issuer, self.clock)
        self.credentials = self.issuer.credentials(NODE, lifetime=90 * DAY)
        self.folder = folder
        self.full = False
        """Whether its disk is."""
        self.renewer = Renewer(self.credentials, self.save, self.authority.ask, self.clock, Random(7))
        backoff = self.renewer._backoff
        backoff.next = partial(self._pause, backoff.next)  # type: ignore[method-assign]
        self.pauses = 0
        """How many there were after failures; they are shorter than they would be."""

    def save(self, bundle: PemBundle) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        save(self.folder, NodeKeys(bundle))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.renewer.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    async def asked_with_pauses(self) -> None:
        """Until the authority has been asked again, and then again, each time after a pause."""
        begun, paused = self.authority.asked, self.pauses
        await eventually("asked twice more", lambda: self.authority.asked >= begun + 2)
        assert self.authority.asked - begun <= self.pauses - paused + 1

    def _pause(self, next_pause: Callable[[], float]) -> float:
        self.pauses += 1
        return next_pause() / 10

    async def settled(self) -> None:
        """Until the renewer has looked at the clock and waits."""
        self.renewer.look()
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path / "certificates")


async def test_CA_05_a_certificate_is_renewed_when_its_time_has_come_and_not_before(played: Played) -> None:
    old = played.credentials.bundle
    changes: list[int] = []
    played.credentials.subscribe(lambda: changes.append(played.credentials.expires_at))
    async with played.running():
        played.clock.advance(45 * DAY - 1)
        await played.settled()
        assert played.authority.asked == 0
        played.clock.advance(27 * DAY + 1)
        played.renewer.look()
        await eventually("renewed", lambda: (played.folder / "node.pem").exists())
        await played.settled()
    assert played.authority.asked == 1
    assert changes == [played.clock.now() + 90 * DAY]
    assert played.credentials.bundle.key != old.key
    saved = load_credentials(played.folder)
    assert saved is not None
    assert saved.bundle == played.credentials.bundle
    assert played.renewer.problem == ""


async def test_CA_05_an_expired_certificate_is_renewed_at_once_and_again_until_it_works(played: Played) -> None:
    played.clock.advance(91 * DAY)
    played.authority.failures = [Unavailable("handshake failed"), Unavailable("handshake failed")]
    problems: set[str] = set()
    async with played.running():
        await eventually("tried", lambda: problems.add(played.renewer.problem) or played.authority.asked)
        await eventually("told", lambda: problems.add(played.renewer.problem) or any(problems))
        await eventually("renewed", lambda: played.credentials.expires_at > played.clock.now())
        await eventually("the problem is over", lambda: played.renewer.problem == "")
    assert played.authority.asked == 3
    assert all("has expired" in problem and "join again" in problem for problem in problems if problem)


async def test_CA_05_a_clock_that_jumps_ahead_makes_it_due(played: Played) -> None:
    async with played.running():
        await played.settled()
        played.clock.advance(20 * 365 * DAY - 200 * DAY)
        played.renewer.look()
        await eventually("renewed", lambda: played.credentials.expires_at > played.clock.now())


async def test_CA_05_a_clock_that_jumps_back_makes_nothing_due(played: Played) -> None:
    async with played.running():
        played.clock.advance(-365 * DAY)
        await played.settled()
    assert played.authority.asked == 0
    assert played.renewer.problem == ""


async def test_CA_05_managers_whose_clocks_are_far_behind_are_not_asked_without_pause(played: Played) -> None:
    played.authority.clock = ManualClock(played.clock.now())
    played.clock.advance(200 * DAY)
    async with played.running():
        problem = await eventually("told", lambda: played.renewer.problem)
        assert "set this node's clock, or the managers', right" in problem
        assert "leave" not in problem
        await played.asked_with_pauses()
        played.clock.advance(-200 * DAY)
        await eventually("the clock is right", lambda: not played.renewer.problem)


async def test_a_changed_role_is_renewed_into_at_once(played: Played) -> None:
    async with played.running():
        await played.settled()
        played.renewer.want(Wanted(Role.WORKER))
        await played.settled()
        assert played.authority.asked == 0
        played.authority.role = Role.MANAGER
        played.renewer.want(Wanted(Role.MANAGER))
        await eventually("promoted", lambda: played.credentials.identity.role is Role.MANAGER)
        played.authority.role = Role.WORKER
        played.renewer.want(Wanted(Role.WORKER))
        await eventually("demoted", lambda: played.credentials.identity.role is Role.WORKER)
    assert played.authority.asked == 2


async def test_a_role_that_the_cluster_does_not_grant_yet_is_asked_for_with_pauses(played: Played) -> None:
    async with played.running():
        played.renewer.want(Wanted(Role.MANAGER))
        problem = await eventually("told", lambda: played.renewer.problem)
        assert "has not made this node a manager yet" in problem
        played.authority.role = Role.MANAGER
        await eventually("promoted", lambda: played.credentials.identity.role is Role.MANAGER)


async def test_a_full_disk_costs_only_what_is_saved(played: Played) -> None:
    played.full = True
    heard: list[bytes] = []
    played.credentials.subscribe(lambda: heard.append(played.credentials.bundle.certificate))
    async with played.running():
        played.renewer.want(Wanted(Role.MANAGER))
        played.authority.role = Role.MANAGER
        problem = await eventually("told", lambda: played.renewer.problem)
        assert "No space left on device" in problem
        assert played.credentials.identity.role is Role.MANAGER
        played.full = False
        await eventually("saved once there is room", lambda: not played.renewer.problem)
    assert played.authority.asked == 1
    assert heard == [played.credentials.bundle.certificate] * 2, "it is said again once it is on disk"
    saved = load_credentials(played.folder)
    assert saved is not None
    assert saved.bundle == played.credentials.bundle


async def test_CA_06_a_certificate_of_another_root_is_asked_for_and_on_disk_before_it_is_used(played: Played) -> None:
    old, new = played.issuer, Issuer(played.issuer.cluster_id, now=played.clock.now())
    crossed = cross_sign(old.root, old.key, new.root, played.clock.now())
    wanted = Wanted(Role.WORKER, root_fingerprint(new.root), old.root + new.root)
    played.authority.issuer, played.authority.trusted = new, old.root + new.root
    played.authority.behind = crossed
    used: list[bool] = []

    def on_disk() -> None:
        saved = load_credentials(played.folder)
        used.append(saved is not None and saved.bundle == played.credentials.bundle)

    played.credentials.subscribe(on_disk)
    async with played.running():
        await played.settled()
        played.renewer.want(wanted)
        await eventually("of the new root", lambda: played.credentials.issuer == wanted.issuer)
        played.renewer.want(wanted)
        await played.settled()
        assert played.authority.asked == 1
        played.renewer.want(replace(wanted, issuer="", root=new.root))
        await eventually("the old one is forgotten", lambda: played.credentials.bundle.root == new.root)
    assert played.authority.asked == 1, "whom to trust is no reason for another certificate"
    assert used == [True, True]


async def test_CA_06_who_holds_nothing_of_the_roots_to_be_trusted_gets_a_certificate_of_them(played: Played) -> None:
    new = Issuer(played.issuer.cluster_id, now=played.clock.now())
    played.authority.issuer, played.authority.trusted = new, new.root
    async with played.running():
        played.renewer.want(Wanted(Role.WORKER, root=new.root))
        await eventually("of the new root", lambda: played.credentials.bundle.root == new.root)
    assert played.authority.asked == 1


async def test_CA_06_managers_that_do_not_agree_on_the_root_are_not_asked_without_pause(played: Played) -> None:
    async with played.running():
        played.renewer.want(Wanted(Role.WORKER, "f" * 64))
        problem = await eventually("told", lambda: played.renewer.problem)
        assert "do not agree yet on the root" in problem
        await played.asked_with_pauses()


async def test_another_nodes_certificate_is_not_taken(played: Played) -> None:
    stranger = played.issuer.credentials("x" * 25, now=played.clock.now()).bundle
    old = played.credentials.bundle

    async def wrong(csr: bytes) -> pb.IssueCertificateResponse:
        return pb.IssueCertificateResponse(certificate=stranger.certificate, root=stranger.root)

    renewer = Renewer(played.credentials, played.save, wrong, played.clock, Random(7))
    renewer.want(Wanted(Role.MANAGER))
    task = asyncio.create_task(renewer.run())
    await eventually("told", lambda: renewer.problem)
    task.cancel()
    assert played.credentials.bundle is old
    assert load_credentials(played.folder) is None


class PlayedManager(NodeCAServicer):
    def __init__(self, answer: Callable[[], Awaitable[pb.IssueCertificateResponse]]) -> None:
        self._answer = answer
        self.asked = 0

    async def RenewCertificate(
        self, request: pb.RenewCertificateRequest, context: Context
    ) -> pb.IssueCertificateResponse:
        self.asked += 1
        try:
            return await self._answer()
        except PyswarmError as error:
            await abort(context, error)


@asynccontextmanager
async def serving(credentials: Credentials, manager: PlayedManager) -> AsyncIterator[str]:
    server = grpc.aio.server()
    add_NodeCAServicer_to_server(manager, server)
    port = server.add_secure_port("127.0.0.1:0", credentials.server_credentials())
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def test_followers_are_asked_who_leads_and_dead_managers_passed_over() -> None:
    issuer = Issuer()
    leaders: list[str] = []

    async def leads() -> pb.IssueCertificateResponse:
        return pb.IssueCertificateResponse(node_id="from the leader")

    async def follows() -> pb.IssueCertificateResponse:
        raise NotLeader(leaders[-1])

    server, caller = issuer.credentials(role=Role.MANAGER), issuer.credentials()
    follower, leader = PlayedManager(follows), PlayedManager(leads)
    csr = new_key_and_csr()[1]
    async with serving(server, leader) as first, serving(server, follower) as address:
        leaders.append(first)
        answer = await ask_managers(caller, ["127.0.0.1:1", address, address], csr)
        assert answer.node_id == "from the leader"
        assert (follower.asked, leader.asked) == (1, 1)

        leaders.append(address)  # it names itself: it is asked only once
        with pytest.raises(NotLeader):
            await ask_managers(caller, [address], csr)
    with pytest.raises(Unavailable, match="no manager is known"):
        await ask_managers(caller, [], csr)
