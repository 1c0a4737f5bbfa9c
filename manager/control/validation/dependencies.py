"""Secrets and configs, and how a service refers to them. No message holds any data."""

import re
from dataclasses import replace

from core.codec import dump
from core.errors import InvalidArgument, ResourceExhausted
from core.model import Config, ContainerSpec, DependencyKind, DependencySpec, FileTarget, Secret
from core.model.dependencies import key_of, kind_of, name_of, noun_of, references_of, target_of
from core.units import format_size

MAX_DATA = {Secret: 500 << 10, Config: 1000 << 10}
"""Bytes that the data must stay below."""
MAX_LABELS = 16 << 10
"""Bytes of name and labels: an entry of the log has room for these beside the largest data."""
MAX_NAME = 64
TEMPLATING = "golang"
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-_.]*[a-zA-Z0-9])?")
_NUMBER = re.compile(r"[0-9]{1,10}")
_MAX_OWNER = 2**32 - 2
_MAX_MODE = 0o777


def validate_dependency_spec(spec: DependencySpec) -> None:
    """Of a new one. Raises InvalidArgument, or ResourceExhausted for labels that are too large."""
    noun = noun_of(kind_of(spec))
    if not spec.name:
        raise InvalidArgument("name must be provided")
    if len(spec.name) > MAX_NAME or not _NAME.fullmatch(spec.name):
        raise InvalidArgument(
            f"invalid name, only {MAX_NAME} [a-zA-Z0-9-_.] characters allowed, and the start and end character must "
            "be [a-zA-Z0-9]"
        )
    validate_labels(spec)
    if spec.templating not in ("", TEMPLATING):
        raise InvalidArgument(
            f"template driver {spec.templating!r} is not there: a {noun} may be a template of {TEMPLATING}"
        )
    validate_data(kind_of(spec), spec.data)


def validate_labels(spec: DependencySpec) -> None:
    """Raises ResourceExhausted, and InvalidArgument for what the wire cannot carry."""
    try:
        size = len(dump(replace(spec, data=b"")))
    except ValueError as error:
        raise InvalidArgument(f"a label holds a text that is out of range: {error}") from error
    if size > MAX_LABELS:
        raise ResourceExhausted(
            f"the labels take {format_size(size)} of at most {format_size(MAX_LABELS)}: shorten them"
        )


def validate_data(kind: DependencyKind, data: bytes) -> None:
    """Raises InvalidArgument."""
    if not 0 < len(data) < MAX_DATA[kind]:
        raise InvalidArgument(f"{noun_of(kind)} data must be larger than 0 and less than {MAX_DATA[kind]} bytes")


def validate_references(container: ContainerSpec) -> None:
    """What can be said of them whatever there is in the cluster. Raises InvalidArgument."""
    taken = {mount.target: f"a mount at {mount.target}" for mount in container.mounts}
    for reference in references_of(container):
        kind, dependency_id = key_of(reference)
        noun, name = noun_of(kind), name_of(reference)
        if not dependency_id or not name:
            raise InvalidArgument(f"malformed {noun} reference: it needs both the {noun}'s id and its name")
        what = f"{noun} '{name}'"
        _validate_file(what, reference.file)
        target = target_of(reference)
        if target in taken:
            raise InvalidArgument(f"{what} and {taken[target]} have a conflicting target: '{target}'")
        taken[target] = what


def _validate_file(what: str, file: FileTarget) -> None:
    if not file.name.strip("/"):
        raise InvalidArgument(f"malformed reference to {what}, invalid target file name provided: {file.name!r}")
    if file.name.endswith("/") or "\0" in file.name or {".", ".."} & set(file.name.split("/")):
        raise InvalidArgument(
            f"the target of {what}, {file.name!r}, is no path of a file: leave out '.' and '..', and '/' at its end"
        )
    for field, value in (("uid", file.uid), ("gid", file.gid)):
        if not _NUMBER.fullmatch(value) or int(value) > _MAX_OWNER:
            raise InvalidArgument(f"the {field} of {what}, {value!r}, is no number: write it like 1000")
    if not 0 <= file.mode <= _MAX_MODE:
        raise InvalidArgument(f"the mode of {what} must be from 0 to 0777, not {file.mode:#o}")
