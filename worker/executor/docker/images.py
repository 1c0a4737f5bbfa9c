"""Pulls images that are not here, each once however many tasks wait for it."""

import asyncio

from worker.executor import TaskError
from worker.executor.docker.engine import Engine, EngineError


class Images:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pulls: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def pull(self, image: str, registry_auth: str) -> None:
        """Returns when the image is here. A pull goes on when whoever asked for it is cancelled."""
        asked = (image, registry_auth)
        if asked not in self._pulls:
            self._pulls[asked] = asyncio.create_task(self._engine.pull(image, registry_auth))
            self._pulls[asked].add_done_callback(lambda _: self._pulls.pop(asked))
            self._pulls[asked].add_done_callback(looked_at)
        try:
            await asyncio.shield(self._pulls[asked])
        except EngineError as error:
            raise TaskError(f"image {image} is not on this node and cannot be pulled: {error}") from error


def looked_at(job: "asyncio.Task[None]") -> None:
    """For work that goes on when its caller is cancelled: its failure is then of no interest, as the next call finds
    what it left."""
    if not job.cancelled():
        job.exception()
