"""Python's own settings, for what kind of program this is."""

import gc
import sys

_THRESHOLDS = (4_000, 5, 2_000)
_SWITCH = 0.0001


def tune_interpreter() -> None:
    """Once, when everything is imported.

    A store of a hundred thousand immutable objects has no cycles, but a full collection looks at each of them: hundreds
    of milliseconds in which nothing else happens. Nearly all garbage is freed by reference counts, and cycles (errors
    with their tracebacks, ended calls) die young: the young generations are collected as ever, the old one seldom.

    A commit passes from the event loop to the log's thread and back several times. Whoever waits for the interpreter's
    lock gets it after 0.1 ms of the other's work, not after 5 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    sys.setswitchinterval(_SWITCH)
