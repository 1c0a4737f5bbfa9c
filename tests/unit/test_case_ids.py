"""Every documented behaviour that is promised has a test that carries its id in its name."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

PROMISED = {
    "SCH": (1, 2, 3, 4, 5, 8, 12, 14, 15, 18, 21),
    "CON": range(1, 7),
    "REP": range(1, 8),
    "RST": (1, 2, 3, 4, 8, 9),
    "GLB": (1, 2, 4),
    "RPR": (1, 3),
    "DSP": (1, 3, 5, 9),
    "AGT": range(1, 10),
    "CA": (1, 2, 3, 4, 5, 9, 10),
    "RFT": (*range(1, 7), 8),
    "ROL": (1, 2),
    "API": (1, 2, 3),
    "LOG": (1,),
    "INT": (1, 2, 3),
}


def names_in(source: str) -> set[str]:
    functions = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {function.name for function in functions if function.name.startswith("test_")}


def ids_in(names: set[str]) -> set[str]:
    return {case for name in names for case in re.findall(r"(?<=_)[A-Z]{2,3}_\d\d(?=_)", name)}


@pytest.fixture(scope="module")
def shown() -> set[str]:
    return {case for path in TESTS.rglob("test_*.py") for case in ids_in(names_in(path.read_text()))}


@pytest.mark.parametrize("case", [f"{room}_{number:02}" for room, numbers in PROMISED.items() for number in numbers])
def test_a_promised_behaviour_has_a_test(shown: set[str], case: str) -> None:
    assert case in shown


def test_only_tests_count_and_only_whole_ids() -> None:
    source = (
        "def test_SCH_04_spreads(): ...\nasync def test_of_CA_01_and_CA_02_too(): ...\ndef SCH_05_no(): ...\n# SCH_01_"
    )
    assert ids_in(names_in(source)) == {"SCH_04", "CA_01", "CA_02"}
