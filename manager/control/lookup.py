"""Objects by what users call them: an id, a name, or the unambiguous beginning of an id, in this order. Pure."""

from collections.abc import Iterable
from typing import TypeVar

from core.errors import InvalidArgument, NotFound
from core.model import Config, Dependency, DependencyKind, Node, Secret, Service, Task
from manager.store import View

T = TypeVar("T", Node, Service, Task, Secret, Config)


def find_node(view: View, ref: str) -> Node:
    """Raises NotFound, and InvalidArgument if several nodes go by that hostname or beginning."""
    named = (node for node in view.nodes() if node.description and node.description.hostname == ref)
    return view.node(ref) or _only(named, "node", ref) or _by_prefix(view.nodes_like(ref), "node", ref)


def find_service(view: View, ref: str) -> Service:
    """Raises NotFound or InvalidArgument."""
    found = view.service(ref) or view.service_by_name(ref)
    return found or _by_prefix(view.services_like(ref), "service", ref)


def find_task(view: View, ref: str) -> Task:
    """A task's name is `service.slot.id`. Raises NotFound or InvalidArgument."""
    named = view.task(ref.rpartition(".")[2])
    if named is not None and named.name == ref:
        return named
    return view.task(ref) or _by_prefix(view.tasks_like(ref), "task", ref)


def find_secret(view: View, ref: str) -> Secret:
    """A name is that of the newest version. Raises NotFound or InvalidArgument."""
    return view.secret(ref) or view.secret_by_name(ref) or _by_prefix(view.secrets_like(ref), "secret", ref)


def find_config(view: View, ref: str) -> Config:
    """A name is that of the newest version. Raises NotFound or InvalidArgument."""
    return view.config(ref) or view.config_by_name(ref) or _by_prefix(view.configs_like(ref), "config", ref)


def find_dependency(view: View, kind: DependencyKind, ref: str) -> Dependency:
    return find_secret(view, ref) if kind is Secret else find_config(view, ref)


def _by_prefix(candidates: Iterable[T], noun: str, ref: str) -> T:
    found = _only(candidates, noun, ref) if ref else None
    if found is None:
        raise NotFound(f"{noun} {ref} not found")
    return found


def _only(candidates: Iterable[T], noun: str, ref: str) -> T | None:
    found = list(candidates)
    if len(found) > 1:
        raise InvalidArgument(f"{noun} {ref} is ambiguous ({len(found)} matches found)")
    return found[0] if found else None
