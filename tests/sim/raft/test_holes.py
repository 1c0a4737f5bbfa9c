"""The holes of the engine, by their ids: there on the stock engine, mended here, and open again without their rule."""

from pathlib import Path

import pytest

from tests.support.raft_sim.broken import OF_THE_FUZZ, RULES, Patch, without
from tests.support.raft_sim.demonstrated import DEMONSTRATED, Scenario
from tests.support.raft_sim.fuzz import run_seed
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.simulated import simulated
from tests.support.raft_sim.stage import Stage
from tests.support.raft_sim.stock import StockMember
from tests.support.raft_sim.truth import Violation
from tests.support.raft_sim.undemonstrated import OTHERS

SCENARIOS = DEMONSTRATED | OTHERS
SEED = 1
FUZZED = range(5)
"""Seeds, of which one at least has to notice."""


def play(scenario: Scenario, folder: Path, kind: type[Member] | type[StockMember]) -> None:
    part = SCENARIOS[scenario]
    with simulated(SEED, folder, part.members, part.batch, part.timing, kind) as world:
        scenario(Stage(world))


def of_rule(rule: str) -> list[Scenario]:
    return [scenario for scenario in SCENARIOS if scenario.__name__.startswith(rule.split()[0] + "_")]


def notices(scenario: Scenario, folder: Path) -> bool:
    try:
        play(scenario, folder, Member)
    except Violation as violation:
        print(f"{scenario.__name__}: {violation}")
        return True
    return False


def fails(seed: int, folder: Path) -> bool:
    try:
        run_seed(seed, folder)
    except Violation as violation:
        print(f"seed {seed}: {violation}")
        return True
    return False


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_hole_is_mended(scenario: Scenario, tmp_path: Path) -> None:
    play(scenario, tmp_path, Member)


@pytest.mark.parametrize("scenario", DEMONSTRATED, ids=lambda scenario: scenario.__name__)
def test_the_stock_engine_has_the_hole(scenario: Scenario, tmp_path: Path) -> None:
    with pytest.raises(Violation) as harm:
        play(scenario, tmp_path, StockMember)
    print(harm.value)


@pytest.mark.parametrize("rule", RULES)
def test_without_its_rule_the_hole_is_open_again(rule: str, tmp_path: Path) -> None:
    with without(RULES[rule]):
        assert any(notices(scenario, tmp_path / scenario.__name__) for scenario in of_rule(rule))


@pytest.mark.parametrize("patches", OF_THE_FUZZ.values(), ids=OF_THE_FUZZ.keys())
def test_the_seeds_notice_when_it_is_not_so_that(patches: tuple[Patch, ...], tmp_path: Path) -> None:
    with without(patches):
        assert any(fails(seed, tmp_path / str(seed)) for seed in FUZZED)


def test_every_scenario_is_held_against_a_broken_rule() -> None:
    held = {scenario for rule in RULES for scenario in of_rule(rule)}
    assert held == set(SCENARIOS)
