"""What a task needs besides its image: secrets and configs, which Swarm calls its dependencies. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from posixpath import join, normpath
from typing import TypeVar

from core.model.container import ConfigReference, ContainerSpec, SecretReference
from core.model.objects import Config, Secret
from core.model.spec import ConfigSpec, SecretSpec

SECRETS_FOLDER = "/run/secrets"
"""Where a secret lies in a container if its target is a relative path; configs lie in /."""

Dependency = Secret | Config
DependencyKind = type[Secret] | type[Config]
DependencySpec = SecretSpec | ConfigSpec
Reference = SecretReference | ConfigReference
R = TypeVar("R", SecretReference, ConfigReference)
DependencyKey = tuple[DependencyKind, str]
"""The kind and the id."""


def noun_of(kind: DependencyKind) -> str:
    """`secret` or `config`."""
    return kind.__name__.lower()


def kind_of(spec: DependencySpec) -> DependencyKind:
    return Secret if isinstance(spec, SecretSpec) else Config


def with_data(item: Dependency, data: bytes) -> Dependency:
    if isinstance(item, Secret):
        return replace(item, spec=replace(item.spec, data=data))
    return replace(item, spec=replace(item.spec, data=data))


def with_labels(item: Dependency, labels: Mapping[str, str]) -> Dependency:
    if isinstance(item, Secret):
        return replace(item, spec=replace(item.spec, labels=labels))
    return replace(item, spec=replace(item.spec, labels=labels))


def referring_to(reference: R, dependency_id: str) -> R:
    """`reference`, to another version of the same dependency."""
    if isinstance(reference, SecretReference):
        return replace(reference, secret_id=dependency_id)
    return replace(reference, config_id=dependency_id)


def key_of(item: Dependency | Reference) -> DependencyKey:
    """Of a dependency, or of what a reference refers to."""
    if isinstance(item, SecretReference):
        return Secret, item.secret_id
    if isinstance(item, ConfigReference):
        return Config, item.config_id
    return type(item), item.id


def name_of(reference: Reference) -> str:
    """The name of what is referred to."""
    return reference.secret_name if isinstance(reference, SecretReference) else reference.config_name


def references_of(container: ContainerSpec) -> tuple[Reference, ...]:
    return (*container.secrets, *container.configs)


def target_of(reference: Reference) -> str:
    """The absolute path of the file in the container."""
    folder = SECRETS_FOLDER if isinstance(reference, SecretReference) else "/"
    return "/" + normpath(join(folder, reference.file.name)).lstrip("/")
