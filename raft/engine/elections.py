"""When this member looks for another leader. In the engine's thread.

As a rule after an election time-out. If our stream to the leader broke, as it does when its process ends, right after
the lease: PreVote (guard) sees to it that this comes to nothing while a quorum still hears the leader.
"""

from random import Random

from core.clock import SECOND
from raft.api import Timing
from raft.engine.core import Core
from raft.guard import Guard
from raft.messages import PreVoteRequest

_MOMENT = (0.05, 0.15)
"""Seconds: longer than a question and its answer take on a local network."""


class Elections:
    def __init__(self, core: Core, guard: Guard, timing: Timing, rng: Random) -> None:
        self._core = core
        self._guard = guard
        self._timing = timing
        self._rng = rng
        self.campaign = False
        """A quorum would vote for us, or the leader wants us to take over."""

    def turn(self, now: float, voter: bool) -> PreVoteRequest | None:
        """What to ask the other voters now. Not to be called on a leader. `now` is of the engine's clock, seconds."""
        core, campaign = self._core, self.campaign
        self.campaign = False
        if not voter:
            core.election_deadline = now + self._timing.election_max / SECOND
        elif campaign and self._guard.may_stand(int(now * SECOND)):
            core.election_deadline = 0
        else:
            self._hurry(now)
            if core.election_deadline < now:
                return self._look(now)
        return None

    def granted(self, now: float) -> None:
        """Another one was told that it may stand for election: it goes first."""
        self._core.election_deadline = max(self._core.election_deadline, now + self._moment())

    def _hurry(self, now: float) -> None:
        since = self._guard.may_hurry(int(now * SECOND))
        if since is not None:
            begin = max(now, since / SECOND)
            if self._core.election_deadline > begin + _MOMENT[1]:
                self._core.election_deadline = begin + self._moment()

    def _look(self, now: float) -> PreVoteRequest | None:
        request = self._guard.pre_vote()
        if request is not None:
            timeout = self._rng.uniform(self._timing.election_min, self._timing.election_max)
            self._core.election_deadline = now + timeout / SECOND  # `turn` hurries if there is reason to
        return request

    def _moment(self) -> float:
        """Seconds; different for each, so that one is first."""
        return self._rng.uniform(*_MOMENT)
