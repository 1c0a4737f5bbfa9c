"""One tree of errors. Every message is for the person who reads it: what is wrong, and what to do.

PyswarmError
+-- InvalidArgument      the request itself is wrong
+-- NotFound
+-- AlreadyExists
+-- FailedPrecondition   right request, wrong moment or state
+-- OutOfSequence        the object changed since it was read
+-- PermissionDenied     who you are does not allow it
|   +-- Removed          this node is none of the cluster's any more, for good
+-- Unauthenticated      who you are is not known
+-- ResourceExhausted    too large, too many
+-- Unavailable          try again, perhaps elsewhere
|   +-- NotLeader        with who is, if known
|   +-- NoQuorum
|   +-- Untrusted        whoever answers there shows a certificate that is not to be believed
|   +-- ShuttingDown
+-- DeadlineExceeded
+-- UnknownOutcome       it may or may not have happened
+-- Internal             a fault of ours

`code` is the name of the gRPC status that carries the error between nodes; core.rpc maps both ways.
"""


class PyswarmError(Exception):
    code = "UNKNOWN"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(PyswarmError):
    code = "INVALID_ARGUMENT"


class NotFound(PyswarmError):
    code = "NOT_FOUND"


class AlreadyExists(PyswarmError):
    code = "ALREADY_EXISTS"


class FailedPrecondition(PyswarmError):
    code = "FAILED_PRECONDITION"


class OutOfSequence(PyswarmError):
    """Clients match on the text, as with Swarm."""

    code = "ABORTED"

    def __init__(self, message: str = "update out of sequence") -> None:
        super().__init__(message)


class PermissionDenied(PyswarmError):
    code = "PERMISSION_DENIED"


class Removed(PermissionDenied):
    def __init__(self, node_id: str) -> None:
        super().__init__(
            f"node {node_id} was removed from the cluster; "
            "to bring it back, run `pyswarm leave --force` on it and join again"
        )
        self.node_id = node_id


class Unauthenticated(PyswarmError):
    code = "UNAUTHENTICATED"


class ResourceExhausted(PyswarmError):
    code = "RESOURCE_EXHAUSTED"


class Unavailable(PyswarmError):
    code = "UNAVAILABLE"


class NotLeader(Unavailable):
    """`leader` is the host:port of the manager to ask instead, empty if none is known."""

    def __init__(self, leader: str = "") -> None:
        super().__init__(f"this manager is not the leader; ask {leader}" if leader else "the cluster has no leader")
        self.leader = leader


class NoQuorum(Unavailable):
    def __init__(self, reachable: int, members: int) -> None:
        super().__init__(
            f"the cluster has lost its quorum: {reachable} of {members} managers can be reached and "
            f"{members // 2 + 1} are needed; bring managers back, or if they are lost for good run "
            "`pyswarm init --force-new-cluster` on one that is left"
        )


class Untrusted(Unavailable):
    """`why` is what the TLS library found wrong with the certificate."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "whoever answers there does not prove to be a manager of this node's cluster: either it belongs to "
            "another cluster, or its certificate has expired by the clock here. Check the address and both clocks; if "
            "this node's state came from another cluster, run `pyswarm leave --force` and join again "
            f"(TLS: {why})"
        )


class ShuttingDown(Unavailable):
    def __init__(self) -> None:
        super().__init__("this node is shutting down")


class DeadlineExceeded(PyswarmError):
    code = "DEADLINE_EXCEEDED"


class UnknownOutcome(PyswarmError):
    """The change may have been made. Read before trying again; a retry with the same request id is safe."""

    code = "UNKNOWN"

    def __init__(self, message: str = "the leader changed before it confirmed this; it may have been made") -> None:
        super().__init__(message)


class Internal(PyswarmError):
    code = "INTERNAL"
