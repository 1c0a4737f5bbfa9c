"""How far a job's present run has come, and what there is to say until it is done. Pure.

The words are those of Docker's command. Beyond it, a run in which nothing is tried any more is an error: Docker's waits
for ever.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pyswarm.cli.json_types import Json
from pyswarm.cli.service.report import MOST_BARS, RANK, STATE_WIDTH, Line, Report, one_line
from pyswarm.cli.words import natural, short_id

_IDLE_LOOKS = 25
"""Looks, a fifth of a second apart, at which nothing must be under way before a run has failed: managers write in
several steps, of which each may take long. Time alone says nothing: whoever looks may have been held up too."""
_COMPLETE = RANK["complete"]


@dataclass
class JobProgress:
    """One wait for a job."""

    converged: bool = field(default=False, init=False)
    _idle_looks: int = field(default=0, init=False)

    def look(self, service: Json, tasks: Sequence[Json], nodes: Sequence[Json], now: float) -> Report:
        """`tasks` may be those of earlier runs too; `nodes` and `now` do not matter."""
        mode = service["Spec"]["Mode"].get("ReplicatedJob")
        current = _current(tasks, _iteration(service["JobStatus"]), "NodeID" if mode is None else "Slot")
        total = len(current) if mode is None else mode["TotalCompletions"]
        if mode is None and not current:
            return Report([Line("job progress", "waiting for tasks")])
        completed = sum(_rank(task) == _COMPLETE for task in current.values())
        active = sum(_rank(task) < _COMPLETE for task in current.values())
        lines = [Line("job progress", f"{completed:{len(str(total))}} out of {total} complete", completed, total)]
        if mode is not None:
            most = min(mode["MaxConcurrent"], total - completed)
            lines.append(Line("active tasks", f"{active:{len(str(mode['MaxConcurrent']))}} out of {most} tasks"))
        if total <= MOST_BARS:
            labels = {key: short_id(key) if mode is None else f"{int(key) + 1}/{total}" for key in current}
            lines += [_line(labels[key], current[key]) for key in sorted(current, key=natural)]
        if completed >= total:
            self.converged = True
            return Report([*lines, Line("", "job complete")], done=True)
        return Report(lines, error=self._failure(current.values(), active, f"{completed} out of {total}"))

    def _failure(self, tasks: Collection[Json], active: int, count: str) -> str:
        """Empty while there is hope."""
        self._idle_looks = 0 if active or not tasks else self._idle_looks + 1
        if self._idle_looks < _IDLE_LOOKS:
            return ""
        reason = next((text for task in tasks if (text := task["Status"].get("Err", ""))), "no task is tried again")
        return f"job failed: {count} tasks completed: {one_line(reason)}"


def _current(tasks: Sequence[Json], iteration: int, place: str) -> Mapping[str, Json]:
    """By slot or node, of several tasks the one that has come least far: the others have ended before it."""
    found: dict[str, Json] = {}
    for task in sorted(tasks, key=_rank, reverse=True):
        if "JobIteration" in task and _iteration(task) == iteration and _rank(task):
            found[str(task.get(place, 0))] = task
    return found


def _iteration(holder: Json) -> int:
    return int(holder["JobIteration"].get("Index", 0))


def _rank(task: Json) -> int:
    return RANK.get(task["Status"]["State"], 0)


def _line(label: str, task: Json) -> Line:
    if error := task["Status"].get("Err", ""):
        return Line(label, one_line(error))
    return Line(label, task["Status"]["State"].ljust(STATE_WIDTH), _rank(task), _COMPLETE)
