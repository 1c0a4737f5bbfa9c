"""The enumerations of the model. Numbers are part of the wire format and never change."""

from enum import IntEnum


class TaskState(IntEnum):
    """Where a task is in its life. Observed and desired states only ever grow (Swarm's task model)."""

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800
    """Only ever desired: the task object goes once its agent has confirmed that the container is gone."""
    ORPHANED = 832


class NodeState(IntEnum):
    UNKNOWN = 0
    DOWN = 1
    READY = 2
    DISCONNECTED = 3


class Availability(IntEnum):
    ACTIVE = 0
    PAUSE = 1
    DRAIN = 2


class Role(IntEnum):
    WORKER = 0
    MANAGER = 1


class Reachability(IntEnum):
    UNKNOWN = 0
    UNREACHABLE = 1
    REACHABLE = 2


class ServiceMode(IntEnum):
    REPLICATED = 0
    GLOBAL = 1
    REPLICATED_JOB = 2
    GLOBAL_JOB = 3

    @property
    def is_job(self) -> bool:
        """Whether its tasks run until they are done, and no more."""
        return self in (ServiceMode.REPLICATED_JOB, ServiceMode.GLOBAL_JOB)


class RestartCondition(IntEnum):
    ANY = 0
    ON_FAILURE = 1
    NONE = 2


class UpdateOrder(IntEnum):
    STOP_FIRST = 0
    START_FIRST = 1


class FailureAction(IntEnum):
    PAUSE = 0
    CONTINUE = 1
    ROLLBACK = 2


class UpdateState(IntEnum):
    UNKNOWN = 0
    UPDATING = 1
    PAUSED = 2
    COMPLETED = 3
    ROLLBACK_STARTED = 4
    ROLLBACK_PAUSED = 5
    ROLLBACK_COMPLETED = 6


class Protocol(IntEnum):
    TCP = 0
    UDP = 1
    SCTP = 2


class PublishMode(IntEnum):
    INGRESS = 0
    HOST = 1


class EndpointMode(IntEnum):
    VIP = 0
    DNSRR = 1


class MountType(IntEnum):
    BIND = 0
    VOLUME = 1
    TMPFS = 2
