"""Protobuf messages of any content, for hypothesis."""

from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

M = TypeVar("M", bound=Message)

_EDGES = [0, 1, 2, 3, 4, 7, 1 << 31, 1 << 32, (1 << 63) - 1]
_UNSIGNED = st.sampled_from([*_EDGES, (1 << 63), (1 << 64) - 1]) | st.integers(0, (1 << 64) - 1)
_VALUES: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=200),
    FieldDescriptor.TYPE_STRING: st.sampled_from(["", "10.0.0.1:2377", "x" * 300, "0" * 25]) | st.text(max_size=30),
    FieldDescriptor.TYPE_UINT64: _UNSIGNED,
    FieldDescriptor.TYPE_FIXED64: _UNSIGNED,
    FieldDescriptor.TYPE_UINT32: st.integers(0, (1 << 32) - 1),
}


def messages(kind: type[M]) -> st.SearchStrategy[M]:
    """Each field there or not, and of a oneof at most one."""
    return _contents(kind.DESCRIPTOR).map(lambda fields: kind(**fields))


def _contents(descriptor: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    alone = [field for field in descriptor.fields if field.containing_oneof is None]
    plain = st.fixed_dictionaries({}, optional={field.name: _field(field) for field in alone})
    for oneof in descriptor.oneofs:
        choices = [st.fixed_dictionaries({field.name: _field(field)}) for field in oneof.fields]
        plain = st.tuples(plain, st.one_of(st.just({}), *choices)).map(lambda two: {**two[0], **two[1]})
    return plain


def _field(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        value: st.SearchStrategy[Any] = _contents(field.message_type)
    else:
        value = _VALUES[field.type]
    return st.lists(value, max_size=4) if field.is_repeated else value
