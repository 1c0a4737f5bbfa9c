"""What reaches standard error, whoever speaks, in both formats."""

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, gc, logging, sys, threading, warnings
from core import logs

async def never_retrieved():
    async def fails():
        raise LookupError("in a task")
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    del task
    gc.collect()

class Unraisable:
    def __del__(self):
        raise LookupError("in a destructor")

def fails(why):
    password = "hunter" + "2"
    raise LookupError(why)

logs.configure(*sys.argv[1:])
ours = logs.logger("ours")
ours.info("a plain event", count=3, path="/a b", data=b"bytes")
try:
    fails("caught")
except LookupError:
    ours.exception("an exception")
logging.getLogger("grpc").warning("two\\nlines of %s", "a library")
logging.getLogger("aiohttp").debug("the library's chatter")
logging.getLogger("odd").log(35, "between two levels")
warnings.warn("beware")
asyncio.run(never_retrieved())
Unraisable()
thread = threading.Thread(target=fails, args=["in a thread"])
thread.start()
thread.join()
fails("at the end")
"""


def said(*settings: str) -> str:
    """What the program wrote to standard error."""
    return subprocess.run([sys.executable, "-c", _PROGRAM, *settings], capture_output=True, text=True).stderr


def test_every_line_is_one_json_object_whoever_speaks() -> None:
    events = [json.loads(line) for line in said("json", "debug").splitlines()]
    assert all({"event", "level", "room", "timestamp"} <= event.keys() for event in events)
    assert events[0]["event"] == "a plain event"
    assert [(event["room"], event["level"]) for event in events[1:]] == [
        ("ours", "error"),
        ("grpc", "warning"),
        ("odd", "warning"),
        ("py.warnings", "warning"),
        ("asyncio", "error"),
        ("python", "error"),
        ("python", "critical"),
        ("python", "critical"),
    ]
    assert events[2]["event"] == "two\nlines of a library"
    reasons = ("caught", None, None, None, "in a task", "in a destructor", "in a thread", "at the end")
    for event, reason in zip(events[1:], reasons, strict=True):
        last = event.get("exception", "").rpartition("\n")[2]
        assert last == (f"LookupError: {reason}" if reason else "")


@pytest.mark.parametrize("format", ["human", "json"])
def test_a_traceback_shows_no_local_variables(format: str) -> None:
    shown = said(format, "debug")
    assert shown.count("LookupError: ") == 5
    assert "hunter2" not in shown


def test_people_read_lines_of_the_same_shape_and_no_less() -> None:
    shown = said("human", "info")
    for part in ("a plain event", "count=3", "of a library", "beware", "at the end", "room=asyncio"):
        assert part in shown
    assert "chatter" not in shown
    assert "Remove `format_exc_info`" not in shown


def test_events_below_the_level_are_left_out() -> None:
    rooms = {json.loads(line)["room"] for line in said("json", "error").splitlines()}
    assert rooms == {"ours", "asyncio", "python"}
