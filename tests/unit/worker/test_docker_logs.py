import pytest

from core.model import LogOptions
from worker.executor.docker.logs import LONGEST, details_of, entries, parameters, terminal_entries


def frame(kind: int, payload: bytes) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


RAW = (
    frame(1, b"2024-02-29T12:00:00.000000001Z one\n")
    + frame(2, b"2024-02-29T12:00:00.5Z two words \n")
    + frame(1, b"2024-02-29T12:00:01Z \n")
)
NOON = 1_709_208_000 * 10**9


@pytest.mark.parametrize("size", [1, 7, len(RAW)])
async def test_frames_are_read_however_they_are_cut(size):
    async def chunks():
        for start in range(0, len(RAW), size):
            yield RAW[start : start + size]

    assert [entry async for entry in entries(chunks())] == [
        (NOON + 1, False, b"one\n"),
        (NOON + 500_000_000, True, b"two words \n"),
        (NOON + 10**9, False, b"\n"),
    ]


TERMINAL = b"2024-02-29T12:00:00.000000001Z one\r\n2024-02-29T12:00:00.5Z \r\n2024-02-29T12:00:01Z no end"


@pytest.mark.parametrize("size", [1, 7, len(TERMINAL)])
async def test_a_terminals_lines_are_read_however_they_are_cut(size):
    async def chunks():
        for start in range(0, len(TERMINAL), size):
            yield TERMINAL[start : start + size]

    assert [entry async for entry in terminal_entries(chunks())] == [
        (NOON + 1, False, b"one\r\n"),
        (NOON + 500_000_000, False, b"\r\n"),
        (NOON + 10**9, False, b"no end"),
    ]


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_a_terminals_line_without_an_end_is_cut_and_its_parts_have_its_time(details, end):
    extra, size = b"a=b " if details else b"", 3 * LONGEST

    async def chunks():
        yield b"2024-02-29T12:00:00.5Z " + extra
        for _ in range(size // 1024):
            yield b"x" * 1024
        yield end

    found = [entry async for entry in terminal_entries(chunks(), details)]
    assert {(at, stderr) for at, stderr, _ in found} == {(NOON + 500_000_000, False)}
    parts = [details_of(data) if details else ("", data) for _, _, data in found]
    assert b"".join(text for _, text in parts) == b"x" * size + end
    assert [said for said, _ in parts] == ["a=b" if details else "", "", "", ""]
    assert max(len(data) for _, _, data in found) <= LONGEST


async def test_a_terminals_line_is_told_while_its_end_is_awaited():
    said = []

    async def chunks():
        yield b"2024-02-29T12:00:00Z "
        for _ in range(LONGEST // 1024):
            yield b"x" * 1024
        assert said
        yield b"\n"

    async for entry in terminal_entries(chunks()):
        said.append(entry)
    assert len(said) == 2


def test_what_a_log_driver_adds_is_told_from_the_line():
    assert details_of(b"a=b,c=d%20e two words\n") == ("a=b,c=d%20e", b"two words\n")
    assert details_of(b" nothing was added\n") == ("", b"nothing was added\n")


def test_what_is_asked_of_the_engine():
    assert parameters(LogOptions(stderr=False, since=NOON + 7, tail=5)) == {
        "stdout": True,
        "stderr": False,
        "follow": False,
        "timestamps": True,
        "details": False,
        "since": "1709208000.000000007",
        "tail": "5",
    }
    assert parameters(LogOptions())["tail"] == "all"
