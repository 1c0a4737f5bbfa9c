"""`service rebalance`: what Docker has no words for."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from core.words import agreeing
from pyswarm.cli.client import Client, path_to
from pyswarm.cli.commands import command
from pyswarm.cli.json_types import Json
from pyswarm.cli.options import COUNT
from pyswarm.cli.service.flags import detach_option, quiet_progress_option, service_argument
from pyswarm.cli.service.progress import wait_until_done
from pyswarm.cli.service.report import Line, Report


@command("rebalance", "Spread the tasks of a service again, as when a node has come back.")
@service_argument
@click.option("--max-unavailable", type=COUNT, default=1, show_default=True, help="Tasks moved at a time.")
@click.option("--start-first", is_flag=True, help="Stop each task only once the one that takes its place runs.")
@detach_option
@quiet_progress_option
@click.pass_obj
def rebalance(client: Client, service: str, max_unavailable: int, start_first: bool, detach: bool, quiet: bool) -> None:
    order = "start-first" if start_first else "stop-first"
    client.post(
        f"/pyswarm{path_to('/services', service)}/rebalance", {"MaxUnavailable": max_unavailable, "Order": order}
    )
    click.echo(service)
    if not detach:
        wait_until_done(client, service, lambda _: RebalanceProgress(service), quiet=quiet)


@dataclass
class RebalanceProgress:
    """One wait for a rebalance of the service that the user calls `reference`."""

    reference: str
    converged: bool = field(default=False, init=False)

    def look(self, service: Json, tasks: Sequence[Json], nodes: Sequence[Json], now: float) -> Report:
        state = service["Rebalance"]
        count = f"{state['Moved']} {agreeing(state['Moved'], 'task')} moved"
        if error := state.get("Error"):
            return Report([Line("overall progress", count)], error=f"rebalance given up: {error}")
        if "CompletedAt" not in state:
            return Report([Line("overall progress", count)])
        self.converged = True
        return Report(
            [Line("overall progress", count), Line("verify", f"Service {self.reference} is spread")], done=True
        )
