"""Templates are tried on a task that there could be."""

from contextlib import suppress
from dataclasses import replace

from core.gotemplate import Budget, BudgetSpent
from core.model import NodeDescription, Platform, ServiceSpec, Task
from core.task_template import expand, templates_of

_ID = "0" * 25
_NODE = NodeDescription(hostname="n" * 63, platform=Platform("x86_64", "linux"))
_READ = 16 << 10
"""Characters of all templates together that are tried, in some hundredths of a second."""
_MADE = 256 << 10
"""Characters that a trial may make of them: as long again. What takes more is the nodes' to find out."""


def validate_templates(spec: ServiceSpec) -> None:
    """Raises TemplateError, naming the place, for what no node could fill in, as far as a short trial shows it."""
    if not 0 < sum(map(len, templates_of(spec.task.container))) <= _READ:
        return
    told = replace(spec.task, service_labels=spec.labels)
    task = Task(id=_ID, service_id=_ID, service_name=spec.name, slot=1, node_id=_ID, spec=told)
    with suppress(BudgetSpent):
        expand(task, _NODE, Budget(_MADE))
