"""When a service has become what it should be, and what there is to say until then. Pure.

The rules are those of Docker's command: as many tasks of the current spec run as are wanted, and still do when the
update's monitoring period is over. Beyond it, a service is never called converged while its update goes on, and the
error of a task that failed is shown until its slot runs again.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pyswarm.cli.json_types import Json
from pyswarm.cli.service.report import ENDED, MOST_BARS, RANK, STATE_WIDTH, STATES, Line, Report, one_line
from pyswarm.cli.words import natural, seconds_of, short_id

_DEFAULT_MONITOR = 5.0
_SECOND = 1e9
_OVERALL = "overall progress"
_MOVING = ("updating", "rollback_started")
_PAUSED = {"paused": "service update paused", "rollback_paused": "service rollback paused"}


@dataclass
class Convergence:
    """One wait for the service that the user calls `reference`. `now` is in seconds, from any clock that runs on."""

    reference: str
    _converged_at: float | None = field(default=None, init=False)
    _failed: bool = field(default=False, init=False)

    @property
    def converged(self) -> bool:
        return self._converged_at is not None

    def look(self, service: Json, tasks: Sequence[Json], nodes: Sequence[Json], now: float) -> Report:
        """`tasks` are those of the current spec."""
        update = service.get("UpdateStatus") or {}
        state, message = update.get("State", ""), update.get("Message", "")
        if state in _PAUSED:
            return Report(error=f"{_PAUSED[state]}: {message}")
        places = _places(service, tasks, nodes)
        wanted = _wanted(service, places)
        running = sum(place.running for place in places)
        lines = [Line("rollback", message)] if state == "rollback_started" and message else []
        if "Global" in service["Spec"]["Mode"] and not places:
            return Report([*lines, Line(_OVERALL, "waiting for new tasks")])
        lines += _lines(places, running, wanted, is_rollback=state.startswith("rollback"))
        if running != wanted:
            self._failed = self._failed or self.converged
            self._converged_at = None
            failure = [Line("verify", "Detected task failure")] if self._failed else []
            return Report([*lines, *failure])
        self._failed = False
        self._converged_at = now if self._converged_at is None else self._converged_at
        left = _monitor(service) - (now - self._converged_at)
        if left > 0 or state in _MOVING:
            wait = f"Waiting {max(math.ceil(left), 1)} seconds to verify that tasks are stable..."
            return Report([*lines, Line("verify", wait)])
        end = [Line("verify", f"Service {self.reference} converged")]
        end += [Line("rollback", message)] if state == "rollback_completed" else []
        return Report([*lines, *end], done=True)


@dataclass(frozen=True)
class _Place:
    """A slot of a replicated service, or a node of a global one: its task, and the last thing that went wrong."""

    label: str
    state: str
    running: bool
    error: str


def _places(service: Json, tasks: Sequence[Json], nodes: Sequence[Json]) -> list[_Place]:
    is_global = "Global" in service["Spec"]["Mode"]
    lost = {node["ID"] for node in nodes if node["Status"]["State"] == "down"}
    by_place: dict[str, list[Json]] = {}
    for task in tasks:
        if task.get("NodeID") not in lost and {task["DesiredState"], task["Status"]["State"]} <= RANK.keys():
            by_place.setdefault(str(task.get("NodeID", "") if is_global else task.get("Slot", 0)), []).append(task)
    wanted = len(by_place) if is_global else _replicas(service)
    places = []
    for number, key in enumerate(sorted(by_place, key=natural), 1):
        place = _place(short_id(key) if is_global else f"{number}/{wanted}", by_place[key])
        places.append(place)
    return places


def _place(label: str, tasks: Sequence[Json]) -> _Place:
    """Of several tasks the one of the lowest desired state counts, then of the lowest state: the others make way."""
    current = min(tasks, key=lambda task: (RANK[task["DesiredState"]], RANK[task["Status"]["State"]]))
    state = current["Status"]["State"]
    is_live = current["DesiredState"] not in ENDED
    newest_first = sorted(tasks, key=lambda task: -seconds_of(task["CreatedAt"]))
    errors = [current["Status"].get("Err", "")]
    errors += [task["Status"].get("Err", "") for task in newest_first if task["Status"]["State"] in ENDED]
    running = is_live and state == "running"
    return _Place(label, state, running, "" if running else next(filter(None, errors), ""))


def _replicas(service: Json) -> int:
    return int((service["Spec"]["Mode"]["Replicated"] or {}).get("Replicas", 1))


def _wanted(service: Json, places: Collection[_Place]) -> int:
    return len(places) if "Global" in service["Spec"]["Mode"] else _replicas(service)


def _monitor(service: Json) -> float:
    config: Mapping[str, Json] = service["Spec"].get("UpdateConfig") or {}
    return config.get("Monitor", 0) / _SECOND or _DEFAULT_MONITOR


def _lines(places: Sequence[_Place], running: int, wanted: int, is_rollback: bool) -> list[Line]:
    count = f"{running} out of {wanted} tasks"
    lines = [Line(_OVERALL, f"rolling back update: {count}" if is_rollback else count)]
    if wanted > MOST_BARS:
        return lines
    for place in places[:wanted]:
        if place.error:
            lines.append(Line(place.label, one_line(place.error)))
        elif place.state in STATES:
            lines.append(Line(place.label, place.state.ljust(STATE_WIDTH), RANK[place.state]))
    return lines
