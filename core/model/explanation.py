"""Why tasks have the nodes they have, or none: answers to a question, not objects of the store."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Objection:
    """One of the scheduler's filters refuses a node."""

    filter: str = ""
    reasons: tuple[str, ...] = ()
    """What is wrong there, and what would change it."""


@dataclass(frozen=True, slots=True)
class NodeVerdict:
    node_id: str = ""
    hostname: str = ""
    tasks: int = 0
    """Of the service, that the node has now."""
    planned: int = 0
    """Of those that a dry run made."""
    objections: tuple[Objection, ...] = ()
    """To one more task; none if it can take it."""
    failures: str = ""
    """How many of the service's tasks have failed there lately, with what error, and what would change it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of a service, of one of its tasks, or of a service that there is not yet (a dry run)."""

    service_id: str = ""
    service_name: str = ""
    task_id: str = ""
    node_id: str = ""
    """The task's."""
    waiting: int = 0
    """Tasks that wait for a node."""
    message: str = ""
    nodes: tuple[NodeVerdict, ...] = ()
    """By hostname."""
