"""Every statement of Swarm's behaviour is a test that carries its id in its name, or stands in tests/README.md with the
reason why not."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

STATEMENTS = {
    "SCH": 25,
    "CON": 6,
    "REP": 7,
    "RST": 9,
    "UPD": 12,
    "GLB": 5,
    "JOB": 5,
    "RPR": 5,
    "ENF": 3,
    "DSP": 11,
    "AGT": 9,
    "CA": 10,
    "RFT": 10,
    "ROL": 2,
    "API": 5,
    "LOG": 2,
    "WAT": 1,
    "INT": 3,
}
"""How many there are of each kind, numbered from 01."""

IDS = [f"{kind}_{number:02}" for kind, count in STATEMENTS.items() for number in range(1, count + 1)]


def names_in(source: str) -> set[str]:
    functions = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {function.name for function in functions if function.name.startswith("test_")}


def ids_in(names: set[str]) -> set[str]:
    return {case for name in names for case in re.findall(r"(?<=_)[A-Z]{2,3}_\d\d(?=_)", name)}


def excused_in(page: str) -> set[str]:
    return {case.replace("-", "_") for case in re.findall(r"^\| ([A-Z]{2,3}-\d\d) \| \w", page, re.MULTILINE)}


@pytest.fixture(scope="module")
def shown() -> set[str]:
    return {case for path in TESTS.rglob("test_*.py") for case in ids_in(names_in(path.read_text()))}


@pytest.fixture(scope="module")
def excused() -> set[str]:
    return excused_in((TESTS / "README.md").read_text())


@pytest.mark.parametrize("case", IDS)
def test_a_statement_has_a_test_or_an_excuse(shown: set[str], excused: set[str], case: str) -> None:
    assert (case in shown) is not (case in excused)


def test_every_id_is_a_statements(shown: set[str], excused: set[str]) -> None:
    assert shown | excused <= set(IDS)


def test_only_tests_count_and_only_whole_ids() -> None:
    source = (
        "def test_SCH_04_spreads(): ...\nasync def test_of_CA_01_and_CA_02_too(): ...\ndef SCH_05_no(): ...\n# SCH_01_"
    )
    assert ids_in(names_in(source)) == {"SCH_04", "CA_01", "CA_02"}


def test_an_excuse_is_a_row_with_a_reason() -> None:
    page = "CA-06\n| CA-07 | not offered |\n| CA-08 | |\n| statement | why |\n| JOB-01 | later |"
    assert excused_in(page) == {"CA_07", "JOB_01"}
