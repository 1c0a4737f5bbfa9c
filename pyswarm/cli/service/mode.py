"""--mode, --replicas and --max-concurrent: how many tasks a service has."""

from typing import Any

import click

from pyswarm.cli.json_types import Json

MODES = ("replicated", "global", "replicated-job", "global-job")


def new_mode(given: dict[str, Any]) -> Json:
    """Raises click.ClickException for a number that the mode has no place for."""
    mode, replicas, at_once = given["mode"], given["replicas"], given["max_concurrent"]
    if mode.startswith("global"):
        if replicas is not None:
            raise click.ClickException("replicas can only be used with replicated or replicated-job mode")
        if given["replicas_max_per_node"]:
            raise click.ClickException("replicas-max-per-node can only be used with replicated or replicated-job mode")
    if at_once is not None and mode != "replicated-job":
        raise click.ClickException("max-concurrent can only be used with replicated-job mode")
    match mode:
        case "global":
            return {"Global": {}}
        case "global-job":
            return {"GlobalJob": {}}
        case "replicated-job":
            return {"ReplicatedJob": _job(replicas if at_once is None else at_once, replicas)}
        case _:
            return {"Replicated": {} if replicas is None else {"Replicas": replicas}}


def change_mode(mode: Json, given: dict[str, Any]) -> None:
    """Raises click.ClickException for a number that the mode has no place for."""
    replicas, at_once = given["replicas"], given["max_concurrent"]
    if replicas is not None:
        if "Replicated" in mode:
            mode["Replicated"] = {"Replicas": replicas}
        elif "ReplicatedJob" in mode:
            mode["ReplicatedJob"] = {**(mode["ReplicatedJob"] or {}), "TotalCompletions": replicas}
        else:
            raise click.ClickException("replicas can only be used with replicated or replicated-job mode")
    if at_once is not None:
        if "ReplicatedJob" not in mode:
            raise click.ClickException("max-concurrent can only be used with replicated-job mode")
        mode["ReplicatedJob"] = {**(mode["ReplicatedJob"] or {}), "MaxConcurrent": at_once}


def _job(at_once: int | None, completions: int | None) -> Json:
    numbers = {"MaxConcurrent": at_once, "TotalCompletions": completions}
    return {field: number for field, number in numbers.items() if number is not None}
