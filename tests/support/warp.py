"""An event loop on which nobody waits: when nothing is ready its clock jumps to the next timer. It does not move
otherwise: a pause of the machine is no time."""

import asyncio
import selectors


class _Selector(selectors.DefaultSelector):
    """Asks what is ready without waiting; only a loop without any timer waits for real (for threads, for sockets)."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.skipped += timeout
        return ready


class WarpLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._warp = _Selector()
        super().__init__(self._warp)

    def time(self) -> float:
        return self._warp.skipped
