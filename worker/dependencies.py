"""The secrets and configs that a node's tasks use: in memory alone, as the managers send them."""

import asyncio
from collections.abc import Iterable

from core.model import Dependency, DependencyKey
from core.model.dependencies import key_of


class Dependencies:
    """Outlives sessions: while no manager answers, what came last holds."""

    def __init__(self) -> None:
        self._held: dict[DependencyKey, Dependency] = {}
        self._told = asyncio.Event()

    def replace(self, held: Iterable[Dependency]) -> None:
        """These are all that the node's tasks use."""
        self._held = {key_of(item): item for item in held}
        self._told.set()

    def update(self, added: Iterable[Dependency], removed: Iterable[DependencyKey]) -> None:
        """These come to those that are held, those are used no more. An unknown removed one is fine."""
        for key in removed:
            self._held.pop(key, None)
        self._held |= {key_of(item): item for item in added}

    async def get(self, key: DependencyKey) -> Dependency | None:
        """None if the managers have none. Waits until one of them has said so, after a restart."""
        await self._told.wait()
        return self._held.get(key)
