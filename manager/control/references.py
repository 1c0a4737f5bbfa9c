"""What services refer to: secrets and configs, and which service uses which. Pure."""

from collections.abc import Collection, Iterable, Sequence

from core.errors import InvalidArgument
from core.model import Config, Dependency, DependencyKey, DependencyKind, Secret, Service, ServiceSpec
from core.model.dependencies import key_of, name_of, noun_of, references_of
from manager.store import View


def dependency_by_name(view: View, kind: DependencyKind, name: str) -> Dependency | None:
    """The newest version."""
    return view.secret_by_name(name) if kind is Secret else view.config_by_name(name)


def dependencies(view: View, kind: DependencyKind) -> Iterable[Dependency]:
    """All versions of all of this kind."""
    return view.secrets() if kind is Secret else view.configs()


def versions_of(view: View, item: Dependency) -> list[Dependency]:
    """All versions that have `item`'s name, the oldest first.

    One that was removed and made again under the same name has none of those from before: they went with it.
    """
    found = [other for other in dependencies(view, type(item)) if other.spec.name.lower() == item.spec.name.lower()]
    return sorted(found, key=lambda version: version.revision)


def users_of(view: View, keys: Collection[DependencyKey]) -> list[Service]:
    """The services whose spec refers to one of them."""
    return [service for service in view.services() if refers(service.spec, keys)]


def refers(spec: ServiceSpec, keys: Collection[DependencyKey]) -> bool:
    return any(key_of(reference) in keys for reference in references_of(spec.task.container))


def check_references(view: View, spec: ServiceSpec) -> None:
    """Raises InvalidArgument for a secret or config that is not there, or not called so."""
    for kind in (Secret, Config):
        missing = _missing(view, spec, kind)
        if missing:
            nouns = noun_of(kind) + ("s" if len(missing) > 1 else "")
            raise InvalidArgument(f"{nouns} not found: {', '.join(missing)}")


def _missing(view: View, spec: ServiceSpec, kind: DependencyKind) -> Sequence[str]:
    missing = []
    for reference in references_of(spec.task.container):
        key = key_of(reference)
        found = view.dependency(key)
        if key[0] is kind and (found is None or found.spec.name != name_of(reference)):
            missing.append(name_of(reference))
    return missing
