"""When a read may be answered from this member's own state: ReadIndex (Ongaro's thesis, 6.4). Pure.

A reader asks its leader, which answers once it surely led after it was asked, with an index that covers everything
acknowledged until then. A leader asks itself. Requests may get lost: each is made again, as a new round, and an answer
holds for all rounds up to its own.
"""

from dataclasses import dataclass

from raft.messages import ReadReply, ReadRequest


@dataclass(slots=True)
class _Reader:
    ticket: int
    since: int
    round: int = 0
    """The first one that asks for it; 0: none yet."""
    index: int | None = None
    """To be applied first; None: not known yet."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a member waits for while this one leads."""

    member: str
    round: int
    index: int
    since: int


class Reads:
    """`retry`: an answer is waited for so long before it is asked for again. `forget`: nobody waits longer. Both ns."""

    def __init__(self, retry: int, forget: int) -> None:
        self._retry = retry
        self._forget = forget
        self._readers: list[_Reader] = []
        self._asked: list[_Asked] = []
        self._round = 0
        self._requested_of = (0, "")
        self._requested_at = 0

    # -- the reader

    def want(self, ticket: int, now: int) -> None:
        self._readers.append(_Reader(ticket, now))

    def request(self, term: int, leader: str, now: int) -> ReadRequest | None:
        """What to ask of this leader now, if anything."""
        if not self._readers:
            return None
        self._readers = [reader for reader in self._readers if now - reader.since < self._forget]
        unknown = [reader for reader in self._readers if reader.index is None]
        late = self._requested_of != (term, leader) or now - self._requested_at >= self._retry
        if not leader or not unknown or not (late or any(reader.round == 0 for reader in unknown)):
            return None
        self._round += 1
        self._requested_of, self._requested_at = (term, leader), now
        for reader in unknown:
            reader.round = reader.round or self._round
        return ReadRequest(term, self._round)

    def answered(self, round_: int, index: int) -> None:
        for reader in self._readers:
            if 0 < reader.round <= round_ and reader.index is None:
                reader.index = index

    def ready(self, applied: int) -> list[int]:
        """The tickets of those that may read now."""
        if not self._readers:
            return []
        ready: list[int] = []
        waiting: list[_Reader] = []
        for reader in self._readers:
            if reader.index is not None and reader.index <= applied:
                ready.append(reader.ticket)
            else:
                waiting.append(reader)
        self._readers = waiting
        return ready

    # -- the leader

    def asked(self, member: str, round_: int, index: int, now: int) -> None:
        """`index` covers everything acknowledged until now."""
        self._asked.append(_Asked(member, round_, index, now))

    def proven(self, term: int, led_at: int) -> list[tuple[str, ReadReply]]:
        """The answers to what was asked before this member surely led."""
        if not self._asked:
            return []
        proven = [asked for asked in self._asked if asked.since <= led_at]
        self._asked = [asked for asked in self._asked if asked.since > led_at]
        return [(asked.member, ReadReply(term, asked.round, asked.index)) for asked in proven]

    def deposed(self) -> None:
        """What others asked of us they will ask of the next leader."""
        self._asked.clear()
