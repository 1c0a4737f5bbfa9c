"""Python's cyclic garbage collector, told what kind of program this is."""

import gc

_THRESHOLDS = (4_000, 5, 2_000)


def tune_collector() -> None:
    """Once, when everything is imported.

    A store of a hundred thousand immutable objects has no cycles, but a full collection looks at each of them: hundreds
    of milliseconds in which nothing else happens. Nearly all garbage is freed by reference counts, and cycles (errors
    with their tracebacks, ended calls) die young: the young generations are collected as ever, the old one seldom.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
