"""Whatever calls itself pure knows no loop, thread, network, clock or chance: time and ids are handed in.

A module says so in its docstring; a package says it for all that is in it.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ("core", "identity", "ingress", "manager", "pyswarm", "raft", "worker")
IMPURE = {"asyncio", "grpc", "pysyncobj", "random", "secrets", "socket", "subprocess", "threading", "time"}
CLAIM = re.compile(r"\bPure[.:;]")


def says_so(file: Path) -> bool:
    return bool(CLAIM.search(ast.get_docstring(ast.parse(file.read_text())) or ""))


def pure_files() -> list[str]:
    found: set[Path] = set()
    for room in HOUSE:
        for file in filter(says_so, (ROOT / room).rglob("*.py")):
            found.update(file.parent.rglob("*.py") if file.name == "__init__.py" else [file])
    return sorted(str(file.relative_to(ROOT)) for file in found)


def imports_of(file: Path) -> set[str]:
    """The top-level packages that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("file", pure_files())
def test_what_calls_itself_pure_is(file: str) -> None:
    assert not imports_of(ROOT / file) & IMPURE


def test_the_rooms_that_decide_call_themselves_pure() -> None:
    rooms = {str(Path(file).parent) for file in pure_files()}
    decide = {"manager/allocator", "manager/orchestrator", "manager/scheduler", "manager/store", "raft/guard"}
    assert decide <= rooms
