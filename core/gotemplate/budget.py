"""What may be made of a template: whoever writes one must not be able to stop a daemon with it."""

from collections.abc import Iterable, Iterator

from core.gotemplate.errors import BudgetSpent

_AMOUNT = 8 << 20
_STEP = 16
"""What a step takes that makes nothing. So a loop of such steps ends within a second or so."""


class Budget:
    """Of characters."""

    def __init__(self, amount: int = _AMOUNT) -> None:
        self._amount = self._left = amount

    def spend(self, amount: int = 0) -> None:
        """For a step that reads or makes `amount`. Raises BudgetSpent when nothing is left."""
        self._left -= _STEP + amount
        if self._left < 0:
            raise BudgetSpent(f"it grows beyond {self._amount} characters, or takes too many steps")

    def paid(self, parts: Iterable[str]) -> Iterator[str]:
        """Each of `parts` is paid for before the next is made."""
        for part in parts:
            self.spend(len(part))
            yield part
