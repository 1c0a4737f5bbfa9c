"""Constraints on what no node can have. As in Swarm they are accepted, and no node ever matches them."""

from difflib import get_close_matches

from core.model import TaskSpec
from core.words import agreeing
from manager.scheduler.constraint import FIELDS, LABELS, Constraint, is_known, parse_constraints

_ALIKE = 0.8
_TOLD = 5
"""Constraints that are warned of one by one: what is meant is searched for on the API's loop, and somebody reads it."""
_KEYS = ", ".join([*FIELDS, *(f"{kind}NAME" for kind in LABELS)])


def warnings_on(spec: TaskSpec) -> list[str]:
    """What whoever asks for such tasks should know. The constraints are valid."""
    constraints = parse_constraints(spec.placement.constraints) if spec.placement is not None else ()
    unknown = [constraint for constraint in constraints if not is_known(constraint.key)]
    warnings = [f"{reason(constraint)}; no node matches it" for constraint in unknown[:_TOLD]]
    if more := len(unknown[_TOLD:]):
        warnings.append(f"{more} more {agreeing(more, 'constraint')} with a key that nobody knows")
    return warnings


def reason(constraint: Constraint) -> str:
    """Of one with an unknown key: what is wrong, and what was probably meant."""
    meant = _meant(constraint.key)
    advice = f"did you mean {meant}?" if meant else f"there are {_KEYS}"
    return f"constraint {constraint} has a key that nobody knows ({advice})"


def _meant(key: str) -> str:
    for known in get_close_matches(key.lower(), FIELDS, 1, _ALIKE):
        return known
    *words, name = key.split(".", 2)
    for known in get_close_matches(".".join(words).lower() + ".", LABELS, 1, _ALIKE):
        return known + name
    return ""
