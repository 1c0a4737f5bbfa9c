from hypothesis import given
from hypothesis import strategies as st

from pyswarm.cli.service.log_lines import Details, Frames, LogLine, split

IDS = "com.docker.swarm.node.id=n,com.docker.swarm.service.id=s,com.docker.swarm.task.id=t"


@given(st.lists(st.tuples(st.integers(1, 3), st.binary(max_size=40))), st.data())
def test_frames_are_told_apart_however_they_arrive(frames, data):
    stream = b"".join(bytes([kind, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for kind, text in frames)
    reader, position, found = Frames(), 0, []
    while position < len(stream):
        size = data.draw(st.integers(1, len(stream) - position))
        found += reader.feed(stream[position : position + size])
        position += size
    assert found == frames


def test_a_line_is_split_into_time_details_and_text():
    assert split(b"2026-01-01T00:00:00Z a=b hello world\n", True) == LogLine(
        "2026-01-01T00:00:00Z", "a=b", b"hello world\n"
    )
    assert split(b"a=b hello world\n", False) == LogLine("", "a=b", b"hello world\n")
    assert split(b"a=b ", False) == LogLine("", "a=b", b"")
    assert split(b"", True) == LogLine("", "", b"")


def test_details_beyond_the_ids_are_sorted():
    assert Details.of(f"z=1,{IDS},a=2") == Details("n", "s", "t", "a=2,z=1")
    assert Details.of("") == Details("", "", "", "=")
