"""Go templates in a task's spec: what differs from task to task and from node to node. Pure.

As in Swarm they may stand in the values of environment variables, in the hostname, in the source and target of mounts,
and in the values of volumes' labels and driver options.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from core.gotemplate import BUILTINS, Budget, BudgetSpent, Template, TemplateError
from core.model import ContainerSpec, Mount, NodeDescription, Task

_OPENING = "{{"


def _join(separator: str, *texts: str) -> Iterator[str]:
    for position, text in enumerate(texts):
        yield separator + text if position else text


FUNCTIONS = {**BUILTINS, "join": _join}


def has_templates(spec: ContainerSpec) -> bool:
    return bool(templates_of(spec))


def templates_of(spec: ContainerSpec) -> list[str]:
    return [text for text in _texts(spec) if _OPENING in text]


def expand(task: Task, node: NodeDescription, budget: Budget | None = None) -> Task:
    """`task` with its templates filled in.

    Raises TemplateError, naming the place, for one that is malformed or names what is not there; BudgetSpent if that
    could not be found out.
    """
    container = _Expansion(context(task, node), budget or Budget()).container(task.spec.container)
    return replace(task, spec=replace(task.spec, container=container))


def context(task: Task, node: NodeDescription) -> Mapping[str, Any]:
    """What templates may name."""
    return {
        "Service": {"ID": task.service_id, "Name": task.service_name, "Labels": dict(task.spec.service_labels)},
        "Node": {
            "ID": task.node_id,
            "Hostname": node.hostname,
            "Platform": {"Architecture": node.platform.architecture, "OS": node.platform.os},
        },
        "Task": {"ID": task.id, "Name": task.name, "Slot": task.place},
    }


class _Expansion:
    def __init__(self, context: Mapping[str, Any], budget: Budget) -> None:
        self._context = context
        self._budget = budget

    def container(self, spec: ContainerSpec) -> ContainerSpec:
        return replace(
            spec,
            env=tuple(self._variable(variable) for variable in spec.env),
            hostname=self._text(spec.hostname, "the hostname"),
            mounts=tuple(self._mount(mount) for mount in spec.mounts),
        )

    def _variable(self, variable: str) -> str:
        name, equals, value = variable.partition("=")
        return f"{name}{equals}{self._text(value, f'the environment variable {name}')}"

    def _mount(self, mount: Mount) -> Mount:
        where = f"the mount at {mount.target}"
        volume = mount.volume
        if volume is not None:
            volume = replace(
                volume,
                labels=self._values(volume.labels, where),
                driver_options=self._values(volume.driver_options, where),
            )
        return replace(
            mount, source=self._text(mount.source, where), target=self._text(mount.target, where), volume=volume
        )

    def _values(self, values: Mapping[str, str], where: str) -> Mapping[str, str]:
        return {key: self._text(value, where) for key, value in values.items()}

    def _text(self, text: str, where: str) -> str:
        if _OPENING not in text:
            return text
        try:
            return Template(text, FUNCTIONS).render(self._context, budget=self._budget)
        except BudgetSpent as error:
            raise BudgetSpent(f"{where}: {error.reason}") from None
        except TemplateError as error:
            raise TemplateError(f"{where}: {error.reason}") from None
        except RecursionError:
            raise TemplateError(f"{where}: it is nested too deeply") from None


def _texts(spec: ContainerSpec) -> list[str]:
    texts = [*spec.env, spec.hostname]
    for mount in spec.mounts:
        texts += [mount.source, mount.target]
        if mount.volume is not None:
            texts += [*mount.volume.labels.values(), *mount.volume.driver_options.values()]
    return texts
