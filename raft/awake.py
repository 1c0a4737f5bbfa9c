"""Time as far as this process ran. Pure."""


class AwakeClock:
    """Follows a clock, but a pause between two looks counts for `step` at most: who was frozen, or got no processor,
    has not waited."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._looked: int | None = None
        self._ran = 0

    def at(self, now: int) -> int:
        """How long it ran (the unit of `now`). To be asked more often than once per `step`."""
        if self._looked is not None:
            self._ran += min(now - self._looked, self._step)
        self._looked = now
        return self._ran
