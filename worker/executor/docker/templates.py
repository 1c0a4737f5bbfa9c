"""One task's templates, filled in with what the engine says of its node: off the loop, as they may take a while."""

import asyncio
from collections.abc import Mapping

from core.gotemplate import TemplateError
from core.model import Dependency, DependencyKey, Task
from core.task_template import expand, has_templates
from worker.executor import TaskError
from worker.executor.docker.describe import description
from worker.executor.docker.engine import Engine
from worker.payload import expand_payload


class Templates:
    """Both raise TaskError for a template that is malformed or names what is not there."""

    def __init__(self, engine: Engine, task: Task) -> None:
        self._engine = engine
        self._task = task

    async def task(self) -> Task:
        """The task with its templates filled in."""
        if not has_templates(self._task.spec.container):
            return self._task
        try:
            return await asyncio.to_thread(expand, self._task, description(await self._engine.info()))
        except TemplateError as error:
            raise TaskError(f"the template of {error.reason}") from error

    async def payload(self, item: Dependency, held: Mapping[DependencyKey, Dependency]) -> bytes:
        """What a secret or config that is a template comes to."""
        task, node = await self.task(), description(await self._engine.info())
        try:
            return await asyncio.to_thread(expand_payload, item, task, node, held)
        except TemplateError as error:
            raise TaskError(f"the template of {error.reason}") from error
