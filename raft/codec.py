"""The log's own types <-> protobuf. What cannot be read is InvalidArgument; nothing from outside is ever unpickled."""

from google.protobuf.message import DecodeError

from core.errors import InvalidArgument
from core.ids import is_id
from proto import raft_pb2 as pb
from raft import messages as m
from raft.api import MAX_COMMAND, MAX_REQUEST_ID
from raft.membership import Change, Configuration, Peer

_MAX_ENTRY = MAX_COMMAND + 1024
_MAX_NUMBER = 1 << 62
"""No term or index comes near it, and one more still fits wherever it is written."""


# -- commands


def encode_proposal(request_id: bytes, payload: bytes) -> bytes:
    return m.REGULAR + pb.RaftCommand(request_id=request_id, payload=payload).SerializeToString()


def encode_change(request_id: bytes, change: Change) -> bytes:
    member = pb.RaftMemberChange(member=encode_peer(change.peer), remove=change.remove)
    return m.REGULAR + pb.RaftCommand(request_id=request_id, member=member).SerializeToString()


def decode_command(command: bytes) -> tuple[bytes, bytes | Change | None]:
    """(request id, what was proposed); a new leader's first entry proposes nothing."""
    if command == m.NOOP:
        return b"", None
    if command[:1] != m.REGULAR:
        raise InvalidArgument("a log entry of unknown kind; is another version of pyswarm running?")
    try:
        message = pb.RaftCommand.FromString(command[1:])
    except DecodeError as error:
        raise InvalidArgument("a log entry cannot be read") from error
    if len(message.request_id) > MAX_REQUEST_ID:
        raise InvalidArgument("a log entry's request id is too long")
    match message.WhichOneof("kind"):
        case "payload":
            return message.request_id, message.payload
        case "member":
            return message.request_id, Change(decode_peer(message.member.member), message.member.remove)
    raise InvalidArgument("a log entry of unknown kind; is another version of pyswarm running?")


def change_of(command: bytes) -> Change | None:
    """The change of members that a log entry makes, if it does."""
    body = decode_command(command)[1]
    return body if isinstance(body, Change) else None


# -- members


def encode_peer(peer: Peer) -> pb.RaftMember:
    return pb.RaftMember(node_id=peer.node_id, addr=peer.addr, incarnation=peer.incarnation, learner=peer.learner)


def decode_peer(member: pb.RaftMember) -> Peer:
    if not is_id(member.node_id):
        raise InvalidArgument("a member's node id is malformed")
    check_addr(member.addr)
    return Peer(member.node_id, member.addr, member.incarnation, member.learner)


def check_addr(addr: str) -> None:
    """Raises InvalidArgument unless it reads HOST:PORT."""
    host, _, port = addr.rpartition(":")
    if not host or len(host) > 255 or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise InvalidArgument(f"{addr[:300]!r} is not an address of the form HOST:PORT")


def decode_configuration(state: pb.RaftSnapshotState) -> Configuration:
    return Configuration({peer.node_id: decode_peer(peer) for peer in state.members}, frozenset(state.removed))


# -- entries


def encode_entry(entry: m.Entry) -> pb.RaftEntry:
    command = b"" if entry.command == m.NOOP else entry.command[1:]
    return pb.RaftEntry(index=entry.idx, term=entry.term, command=command)


def decode_entry(entry: pb.RaftEntry) -> m.Entry:
    """Raises InvalidArgument unless the command can be read."""
    if max(entry.index, entry.term) > _MAX_NUMBER:
        raise InvalidArgument("a log entry's index or term is out of range")
    if len(entry.command) > _MAX_ENTRY:
        raise InvalidArgument("a log entry is too large")
    command = m.REGULAR + entry.command if entry.command else m.NOOP
    decode_command(command)
    return m.Entry(command, entry.index, entry.term)


# -- messages


def is_reply(message: m.Message) -> bool:
    """Whether it goes back on the stream of the request it answers."""
    return isinstance(message, m.AppendReply | m.VoteReply | m.PreVoteReply | m.StaleTerm | m.ReadReply)


def encode_message(message: m.Message) -> pb.RaftMessage:
    wire = pb.RaftMessage(term=message.term)
    match message:
        case m.Append():
            wire.append.prev_index = message.prev_index
            wire.append.prev_term = message.prev_term
            wire.append.commit_index = message.commit_index
            wire.append.sent = message.sent
            wire.append.entries.extend(encode_entry(entry) for entry in message.entries)
        case m.AppendReply():
            wire.append_reply.next_index = message.next_index
            wire.append_reply.success = message.success
            wire.append_reply.reset = message.reset
            wire.append_reply.sent = message.sent
        case m.Heartbeat():
            wire.heartbeat.commit_index = message.commit_index
            wire.heartbeat.sent = message.sent
        case m.VoteRequest():
            wire.vote_request.last_index = message.last_index
            wire.vote_request.last_term = message.last_term
            wire.vote_request.transfer = message.transfer
        case m.PreVoteRequest():
            wire.pre_vote_request.last_index = message.last_index
            wire.pre_vote_request.last_term = message.last_term
            wire.pre_vote_request.round = message.round
        case m.PreVoteReply():
            wire.pre_vote_reply.round = message.round
            wire.pre_vote_reply.granted = message.granted
        case m.VoteReply():
            wire.vote_reply.SetInParent()
        case m.TimeoutNow():
            wire.timeout_now.SetInParent()
        case m.StaleTerm():
            wire.stale_term.SetInParent()
        case m.ReadRequest():
            wire.read_request.round = message.round
        case m.ReadReply():
            wire.read_reply.round = message.round
            wire.read_reply.index = message.index
        case _:
            raise AssertionError(f"{type(message).__name__} does not travel")
    return wire


def decode_message(wire: pb.RaftMessage) -> m.Message:
    """Raises InvalidArgument unless it is one that a member may send."""
    term = wire.term
    if term > _MAX_NUMBER:
        raise InvalidArgument("a message's term is out of range")
    match wire.WhichOneof("body"):
        case "append":
            a = wire.append
            return m.Append(term, a.prev_index, a.prev_term, a.commit_index, _decode_entries(a, term), a.sent)
        case "append_reply":
            r = wire.append_reply
            return m.AppendReply(term, r.next_index, r.success, r.reset, r.sent)
        case "heartbeat":
            return m.Heartbeat(term, wire.heartbeat.commit_index, wire.heartbeat.sent)
        case "vote_request":
            v = wire.vote_request
            return m.VoteRequest(term, v.last_index, v.last_term, v.transfer)
        case "pre_vote_request":
            p = wire.pre_vote_request
            return m.PreVoteRequest(term, p.last_index, p.last_term, p.round)
        case "pre_vote_reply":
            return m.PreVoteReply(term, wire.pre_vote_reply.round, wire.pre_vote_reply.granted)
        case "vote_reply":
            return m.VoteReply(term)
        case "timeout_now":
            return m.TimeoutNow(term)
        case "stale_term":
            return m.StaleTerm(term)
        case "read_request":
            return m.ReadRequest(term, wire.read_request.round)
        case "read_reply":
            return m.ReadReply(term, wire.read_reply.round, wire.read_reply.index)
    raise InvalidArgument("a message of unknown kind; is another version of pyswarm running?")


def _decode_entries(append: pb.RaftMessage.Append, term: int) -> tuple[m.Entry, ...]:
    entries = tuple(map(decode_entry, append.entries))
    before, since = append.prev_index, append.prev_term
    for entry in entries:
        if entry.idx != before + 1 or not since <= entry.term <= term:
            raise InvalidArgument("a message's entries do not follow each other")
        before, since = entry.idx, entry.term
    return entries
