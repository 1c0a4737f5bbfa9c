"""Changes to secrets and configs, as decisions over a transaction. Pure.

Data never changes. New data is a new version, which takes the name over from the one before; that one stays for as long
as something uses it (manager.orchestrator.versions).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from core.codec import dump
from core.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, OutOfSequence
from core.model import (
    Config,
    Dependency,
    DependencyKey,
    DependencyKind,
    DependencySpec,
    Meta,
    Secret,
    SecretSpec,
    Service,
    ServiceSpec,
)
from core.model.dependencies import R, key_of, kind_of, noun_of, referring_to, with_data, with_labels
from core.words import agreeing
from manager.control.lookup import find_dependency
from manager.control.references import dependency_by_name, refers, users_of, versions_of
from manager.control.services import with_spec
from manager.orchestrator.update_status import is_under_way
from manager.store import Transaction, View

_ROOM = 512 << 10
"""Bytes that one transaction changes, of the 1 MiB that an entry of the log may have."""


def without_data(secret: Secret) -> Secret:
    """As it may be shown: nobody is ever told what a secret is."""
    return replace(secret, spec=replace(secret.spec, data=b""))


def create(tx: Transaction, new_id: str, spec: DependencySpec) -> None:
    """Nothing if it is there already: this is the same request once more. Raises AlreadyExists for a name in use."""
    noun, existing = noun_of(kind_of(spec)), tx.dependency((kind_of(spec), new_id))
    if existing is not None:
        if existing.spec.name != spec.name:
            raise InvalidArgument(f"this request id was used before, to create {noun} {existing.spec.name}")
        return
    made: Dependency = Secret(new_id, spec=spec) if isinstance(spec, SecretSpec) else Config(new_id, spec=spec)
    if dependency_by_name(tx, type(made), spec.name) is not None:
        raise AlreadyExists(f"{noun} {spec.name} already exists")
    tx.create(made)


def update(tx: Transaction, item_id: str, version: int, spec: DependencySpec) -> None:
    """Raises NotFound, OutOfSequence, and InvalidArgument for any change but of labels."""
    item = tx.dependency((kind_of(spec), item_id))
    if item is None:
        raise NotFound(f"{noun_of(kind_of(spec))} {item_id} not found")
    if item.meta.version != version:
        raise OutOfSequence
    same_template = spec.templating in ("", item.spec.templating)
    if spec.name != item.spec.name or spec.data not in (b"", item.spec.data) or not same_template:
        raise InvalidArgument("only updates to Labels are allowed")
    if spec.labels != item.spec.labels:
        tx.update(with_labels(item, spec.labels))


def add_version(tx: Transaction, kind: DependencyKind, ref: str, data: bytes, new_id: str) -> tuple[str, bool]:
    """Makes `data` the newest version, and has every service that uses an older one updated to it.

    Returns its id, and whether services are left for which there was no room in this transaction: then it is to be
    called again. Data that the newest version has already makes no other, nor does the same request once more, even if
    there are newer ones since. Raises NotFound, InvalidArgument, and FailedPrecondition while an update of one of these
    services is under way: it would begin anew, and what it can be rolled back to would be lost.
    """
    versions = versions_of(tx, find_dependency(tx, kind, ref))
    newest, used = versions[-1], 0
    is_new = newest.spec.data != data and tx.dependency((kind, new_id)) is None
    older = {key_of(version) for version in (versions if is_new else versions[:-1])}
    users = users_of(tx, older)
    busy = [service for service in users if is_under_way(tx, service)]
    if busy:
        raise FailedPrecondition(
            f"{_in_use(newest, busy)}; it gets no new version while an update or a rollback of one is unfinished or "
            "paused: finish that or roll it back first"
        )
    if is_new:
        newest, used = _supersede(tx, newest, data, new_id), len(data)
    for service in users:
        size = 2 * len(dump(service))
        if used and used + size > _ROOM:
            return newest.id, True
        used += size
        tx.update(with_spec(service, _using(service.spec, older, newest), None))
    return newest.id, False


def remove(tx: Transaction, kind: DependencyKind, ref: str) -> None:
    """With all its versions. Raises NotFound, and InvalidArgument while a service uses one of them."""
    item = find_dependency(tx, kind, ref)
    versions = versions_of(tx, item)
    keys = {key_of(version) for version in versions}
    users = [service for service in tx.services() if refers(service.spec, keys) or _may_return(tx, service, keys)]
    if users:
        raise InvalidArgument(_in_use(item, users))
    for version in versions:
        tx.delete(kind, version.id)


def _may_return(view: View, service: Service, keys: Collection[DependencyKey]) -> bool:
    """Whether an update that is under way, and may be rolled back, leads away from one of them."""
    former = service.previous_spec
    return former is not None and refers(former, keys) and is_under_way(view, service)


def _in_use(item: Dependency, users: Sequence[Service]) -> str:
    services = agreeing(len(users), "service")
    names = ", ".join(service.spec.name for service in users)
    return f"{noun_of(key_of(item)[0])} '{item.spec.name}' is in use by the following {services}: {names}"


def _supersede(tx: Transaction, former: Dependency, data: bytes, new_id: str) -> Dependency:
    tx.update(replace(former, superseded_by=new_id))
    made = replace(with_data(former, data), id=new_id, meta=Meta(), revision=former.revision + 1)
    tx.create(made)
    return made


def _using(spec: ServiceSpec, older: Collection[DependencyKey], newest: Dependency) -> ServiceSpec:
    """`spec` with the newest version in the place of older ones."""
    container = spec.task.container
    container = replace(
        container,
        secrets=_renewed(container.secrets, older, newest.id),
        configs=_renewed(container.configs, older, newest.id),
    )
    return replace(spec, task=replace(spec.task, container=container))


def _renewed(references: Iterable[R], older: Collection[DependencyKey], newest_id: str) -> tuple[R, ...]:
    return tuple(referring_to(item, newest_id) if key_of(item) in older else item for item in references)
