"""The one codec between the model and protobuf.

A dataclass and the message of the same name have the same field names. For each pair a list of closures is built
once, at first use; no object is reflected on afterwards. An absent number or text reads as zero or empty, an absent
optional as None, an absent message as its dataclass's default.

A field with the metadata `shared` (a task's spec) does not travel with its object: `pack_tasks` puts it beside the
tasks once per (service, spec version), `unpack_tasks` puts it back.
"""

import dataclasses
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from google.protobuf.message import DecodeError, Message

from core.errors import InvalidArgument
from core.model import Task, TaskSpec
from proto import dispatcher_pb2
from proto import model_pb2 as pb

T = TypeVar("T")
SpecKey = tuple[str, int]
"""(service id, spec version): what a shared task spec is found by."""

_Encode = Callable[[Any], Any]
_Decode = Callable[..., Any]


def encode(value: object) -> Any:
    """The message for a dataclass of core.model."""
    kind: Any = type(value)
    return _message_type(kind)(**contents(value))


def contents(value: object, leave_out: str = "") -> dict[str, Any]:
    """What the message's constructor takes: to be part of a larger message, but for the field to `leave_out`.

    Protobuf makes the messages within from dictionaries in less than half of the time that it takes to copy them in.
    """
    kind: Any = type(value)
    found: dict[str, Any] = _codec(kind, leave_out)[0](value)
    return found


def decode(kind: type[T], message: Any, **shared: Any) -> T:
    """The `kind` that `message` and its `shared` fields hold.

    Raises InvalidArgument for an enumeration's number that is none of ours.
    """
    decodable: Any = kind
    try:
        decoded: T = _codec(decodable)[1](message, **shared)
    except ValueError as error:
        raise InvalidArgument(f"malformed {kind.__name__}: {error}") from error
    return decoded


def dump(value: object) -> bytes:
    """Serialised `encode`; the same object always gives the same bytes."""
    data: bytes = encode(value).SerializeToString(deterministic=True)
    return data


def load(kind: type[T], data: bytes) -> T:
    """The inverse of `dump`. Raises InvalidArgument for bytes that are no such message."""
    loadable: Any = kind
    return decode(kind, parse(_message_type(loadable), data))


def parse(message_type: type[Message], data: bytes) -> Any:
    """The `message_type` in `data`. Raises InvalidArgument where protobuf would raise an error of its own."""
    try:
        return message_type.FromString(data)
    except DecodeError as error:
        raise InvalidArgument(f"malformed {message_type.__name__}") from error


def pack_tasks(tasks: Iterable[Task]) -> pb.TaskSet:
    """Tasks with each spec once."""
    specs: dict[SpecKey, TaskSpec] = {}
    packed: list[Any] = []
    for task in tasks:
        specs[(task.service_id, task.spec_version)] = task.spec
        packed.append(contents(task))
    return pb.TaskSet(specs=pack_specs(specs), tasks=packed)


def pack_specs(specs: Mapping[SpecKey, TaskSpec]) -> list[pb.SharedSpec]:
    return [
        pb.SharedSpec(service_id=service_id, spec_version=version, spec=encode(spec))
        for (service_id, version), spec in specs.items()
    ]


def unpack_specs(packed: Sequence[pb.SharedSpec]) -> dict[SpecKey, TaskSpec]:
    return {(item.service_id, item.spec_version): decode(TaskSpec, item.spec) for item in packed}


def unpack_task(message: pb.Task, specs: Mapping[SpecKey, TaskSpec]) -> Task:
    """One task, sharing its spec with the others of `specs`. Raises InvalidArgument if its spec is not there."""
    spec = specs.get((message.service_id, message.spec_version))
    if spec is None:
        raise InvalidArgument(f"task {message.id} comes without its spec")
    return decode(Task, message, spec=spec)


def unpack_tasks(message: pb.TaskSet) -> list[Task]:
    specs = unpack_specs(message.specs)
    return [unpack_task(task, specs) for task in message.tasks]


@cache
def _message_type(kind: type[object]) -> Any:
    """Most are in model.proto; those that only agents and the leader speak of lie in dispatcher.proto."""
    found = getattr(pb, kind.__name__, None)
    return found if found is not None else getattr(dispatcher_pb2, kind.__name__)


@cache
def _codec(kind: Any, leave_out: str = "") -> tuple[_Encode, _Decode]:
    hints = get_type_hints(kind)
    encoders: list[tuple[str, Any, _Encode | None]] = []
    decoders: list[tuple[str, _Decode]] = []
    for field in dataclasses.fields(kind):
        if field.metadata.get("shared") or field.name == leave_out:
            continue
        encoder, reader = _field(field.name, hints[field.name])
        encoders.append((field.name, _default(field), encoder))
        decoders.append((field.name, reader))

    def encode_object(value: Any) -> dict[str, Any]:
        arguments = {}
        for name, default, encoder in encoders:
            item = getattr(value, name)
            if not item and (item is None or item == default):
                continue
            arguments[name] = item if encoder is None else encoder(item)
        return arguments

    def decode_object(message: Any, **shared: Any) -> Any:
        return kind(**{name: reader(message) for name, reader in decoders}, **shared)

    return encode_object, decode_object


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default is not dataclasses.MISSING else None


def _field(name: str, hint: Any) -> tuple[_Encode | None, _Decode]:
    """How a field's value is put into its message (None: as it is), and how it is read from the message."""
    optional = get_origin(hint) in (Union, types.UnionType)
    if optional:
        (hint,) = (item for item in get_args(hint) if item is not type(None))
    origin = get_origin(hint)
    if origin is tuple:
        encode_item, decode_item = _value(get_args(hint)[0])
        if encode_item is None:
            return None, lambda message: tuple(getattr(message, name))
        item_encoder = encode_item
        return (
            lambda items: [item_encoder(item) for item in items],
            lambda message: tuple(decode_item(item) for item in getattr(message, name)),
        )
    if origin is Mapping:
        return dict, lambda message: dict(getattr(message, name))
    encoder, decoder = _value(hint)
    if dataclasses.is_dataclass(hint) or optional:
        absent = None if optional else hint
        return encoder, _present_or(name, decoder, absent)
    if encoder is None and decoder is _same:
        return None, lambda message: getattr(message, name)
    return encoder, lambda message: decoder(getattr(message, name))


def _present_or(name: str, decoder: _Decode, absent: Callable[[], Any] | None) -> _Decode:
    def read(message: Any) -> Any:
        if message.HasField(name):
            return decoder(getattr(message, name))
        return absent() if absent is not None else None

    return read


def _same(value: Any) -> Any:
    return value


def _value(hint: Any) -> tuple[_Encode | None, _Decode]:
    if dataclasses.is_dataclass(hint):
        kind: Any = hint
        return _codec(kind)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return int, hint
    return None, _same
