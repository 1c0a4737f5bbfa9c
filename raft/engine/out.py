"""What leaves the engine's thread: messages to other members, and outputs to the loop."""

from raft.engine import events as ev
from raft.messages import AppendReply, Message
from raft.storage.journal import Journal


class Out:
    """Gathers until `flush` and `give`."""

    def __init__(self, outbox: ev.Outbox, journal: Journal) -> None:
        self._outbox = outbox
        self._journal = journal
        self._messages: list[tuple[str, Message]] = []
        self._outputs: list[ev.Output] = []

    def send(self, receiver: str, message: Message) -> None:
        last = self._messages[-1] if self._messages else None
        if last is not None and last[0] == receiver and _supersedes(message, last[1]):
            self._messages.pop()
        self._messages.append((receiver, message))

    def tell(self, *outputs: ev.Output) -> None:
        self._outputs += outputs

    def flush(self, synced: bool = True) -> None:
        """The messages leave. What was promised in one is on disk before, unless not `synced`."""
        if synced:
            self._journal.sync()
        if self._messages:
            messages, self._messages = self._messages, []
            self._outbox.send(messages)

    def give(self) -> None:
        """The outputs leave."""
        if self._outputs:
            outputs, self._outputs = self._outputs, []
            self._outbox.give(outputs)


def _supersedes(later: Message, earlier: Message) -> bool:
    """Of two plain acknowledgements the later says it all."""
    return (
        isinstance(earlier, AppendReply)
        and isinstance(later, AppendReply)
        and later.success
        and earlier.success
        and not (later.reset or earlier.reset)
        and later.term == earlier.term
        and later.next_index >= earlier.next_index
    )
