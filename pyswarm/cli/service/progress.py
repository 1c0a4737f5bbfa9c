"""Waiting for a service to converge: Docker's bars on a terminal, plain lines otherwise."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import click

from pyswarm.cli.client import Client, Json

_POLL_SECONDS = 0.1
_MOST_BARS = 20
_STEPS = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running")
_BAR = 50


@dataclass(frozen=True)
class Slot:
    """One line of the progress: the slot, how far its current task is, and the last trouble."""

    label: str
    state: str
    error: str = ""

    @property
    def running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class Progress:
    slots: Sequence[Slot]
    wanted: int
    update_state: str = ""
    update_message: str = ""

    @property
    def running(self) -> int:
        return sum(slot.running for slot in self.slots)

    @property
    def converged(self) -> bool:
        moving = self.update_state in ("updating", "rollback_started")
        return not moving and self.running >= self.wanted and len(self.slots) <= self.wanted

    @property
    def stopped(self) -> bool:
        return self.update_state in ("paused", "rollback_paused")


def progress_of(service: Json, tasks: Sequence[Json], nodes: Sequence[Json]) -> Progress:
    """Where `service` stands, from the tasks of its current spec and the nodes."""
    is_global = "Global" in service["Spec"]["Mode"]
    newest: dict[object, Json] = {}
    for task in sorted(tasks, key=lambda task: task["CreatedAt"]):
        key = task.get("NodeID", "") if is_global else task.get("Slot", 0)
        if task["DesiredState"] in ("running", "ready") or key not in newest:
            newest[key] = task
    live = {key: task for key, task in newest.items() if task["DesiredState"] in ("running", "ready")}
    update = service.get("UpdateStatus") or {}
    if is_global:
        up = {node["ID"] for node in nodes if node["Status"]["State"] == "ready"}
        live = {key: task for key, task in live.items() if not key or key in up}
        wanted = len(live)
    else:
        wanted = (service["Spec"]["Mode"]["Replicated"] or {}).get("Replicas", 1)
    slots = []
    for key, task in sorted(live.items(), key=lambda item: str(item[0]).rjust(25)):
        label = str(key)[:12] if is_global else f"{key}/{wanted}"
        slots.append(Slot(label, task["Status"]["State"], task["Status"].get("Err", "")))
    return Progress(slots, wanted, update.get("State", ""), update.get("Message", ""))


def wait_until_converged(client: Client, service_id: str, quiet: bool = False) -> None:
    """Returns when every task of the current spec runs. Raises click.ClickException if the update is paused."""
    display: _Display = _Silent() if quiet else (_Bars() if sys.stdout.isatty() else _Lines())
    filters = {"service": {service_id: True}, "_up-to-date": {"true": True}}
    while True:
        service = client.get(f"/services/{service_id}", {"insertDefaults": False})
        progress = progress_of(service, client.get("/tasks", {"filters": filters}), client.get("/nodes"))
        display.show(progress)
        if progress.stopped:
            raise click.ClickException(f"service {progress.update_state.replace('_', ' ')}: {progress.update_message}")
        if progress.converged:
            if not quiet:
                click.echo(f"verify: Service {service_id} converged")
            return
        time.sleep(_POLL_SECONDS)


def _bar(slot: Slot) -> str:
    """`running   [=====>     ]`, or the trouble when there is some."""
    if slot.error and not slot.running:
        return slot.error if len(slot.error) <= 80 else slot.error[:79] + "…"
    step = _STEPS.index(slot.state) + 1 if slot.state in _STEPS else 0
    filled = _BAR * step // len(_STEPS)
    return f"{slot.state:<10}[{'=' * max(0, filled - 1)}>{' ' * (_BAR - filled)}]"


class _Display:
    def show(self, progress: Progress) -> None: ...


class _Silent(_Display):
    pass


class _Lines(_Display):
    """For logs and pipes: a line whenever the count or a slot's trouble changes."""

    def __init__(self) -> None:
        self._last = ""
        self._errors: dict[str, str] = {}

    def show(self, progress: Progress) -> None:
        line = f"overall progress: {progress.running} out of {progress.wanted} tasks"
        if line != self._last:
            click.echo(line)
            self._last = line
        for slot in progress.slots:
            if slot.error and self._errors.get(slot.label) != slot.error:
                click.echo(f"{slot.label}: {slot.error}")
                self._errors[slot.label] = slot.error


class _Bars(_Display):
    """For a terminal: drawn over itself."""

    def __init__(self) -> None:
        self._drawn = 0

    def show(self, progress: Progress) -> None:
        lines = [f"overall progress: {progress.running} out of {progress.wanted} tasks"]
        if progress.update_message:
            lines[0] += f" ({progress.update_message})"
        if len(progress.slots) <= _MOST_BARS:
            lines += [f"{slot.label}: {_bar(slot)}" for slot in progress.slots]
        rewind = f"\x1b[{self._drawn}A" if self._drawn else ""
        surplus = "\x1b[J"
        click.echo(rewind + surplus + "\n".join(lines))
        self._drawn = len(lines)
