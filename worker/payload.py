"""Secrets and configs that are templates themselves. Pure.

Beside what a service's templates may name there are three functions, as in Swarm: `secret TARGET` and `config TARGET`
are the data of another secret or config of the task, `env NAME` a variable of its environment.
"""

from collections.abc import Callable, Mapping

from core.gotemplate import Template, TemplateError
from core.model import (
    ConfigReference,
    Dependency,
    DependencyKey,
    NodeDescription,
    Reference,
    Secret,
    SecretReference,
    Task,
)
from core.model.dependencies import key_of, noun_of, references_of
from core.task_template import FUNCTIONS, context

MAX_SIZE = 1000 << 10
"""Bytes that a template may grow to."""


def expand_payload(
    item: Dependency, task: Task, node: NodeDescription, held: Mapping[DependencyKey, Dependency]
) -> bytes:
    """What the file of `item` shall hold for `task`, which has `held`.

    Raises TemplateError. Of a secret it does not say what is wrong: that might tell a part of it.
    """
    functions = {
        **FUNCTIONS,
        "secret": _data_of(SecretReference, task, held),
        "config": _data_of(ConfigReference, task, held),
        "env": _variable_of(task),
    }
    what = f"{noun_of(type(item))} {item.spec.name}"
    try:
        expanded = Template(item.spec.data.decode(), functions).render(context(task, node)).encode()
    except (TemplateError, UnicodeDecodeError, RecursionError) as error:
        why = "malformed, or names what is not there" if isinstance(item, Secret) else _reason(error)
        raise TemplateError(f"{what}: {why}") from None
    if len(expanded) > MAX_SIZE:
        raise TemplateError(f"{what}: it grows beyond {MAX_SIZE} bytes")
    return expanded


def _data_of(kind: type[Reference], task: Task, held: Mapping[DependencyKey, Dependency]) -> Callable[[str], str]:
    items = {
        reference.file.name: held[key_of(reference)]
        for reference in reversed(references_of(task.spec.container))
        if isinstance(reference, kind) and key_of(reference) in held
    }

    def data_of(target: str) -> str:
        if target not in items:
            raise TemplateError(
                f"nothing of the task has the target it asks for: there is {', '.join(items) or 'none'}"
            )
        try:
            return items[target].spec.data.decode()
        except UnicodeDecodeError:
            raise TemplateError(
                f"{noun_of(type(items[target]))} {items[target].spec.name}, which it asks for, is not UTF-8"
            ) from None

    return data_of


def _variable_of(task: Task) -> Callable[[str], str]:
    """Empty if there is none of that name."""
    variables = dict(variable.partition("=")[::2] for variable in task.spec.container.env)
    return lambda name: variables.get(name, "")


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateError):
        return error.reason
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it is not UTF-8"
