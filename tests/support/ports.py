"""TCP ports that are chosen before they are bound."""

import socket

_CHOSEN: dict[int, socket.socket] = {}


def free_port(count: int = 1) -> int:
    """The first of `count` free ones in a row, on any address. They stay the calling process's until it ends: the other
    workers of a run get others. Below the ephemeral range, so that neither a connection nor a port 0 is given them."""
    for port in range(20000, 30000):
        if all(_choose(each) for each in range(port, port + count)):
            return port
    raise AssertionError("no free port")


def _choose(port: int) -> bool:
    """It is not so much as tried to bind a port that another process has chosen, and may be about to bind."""
    if port in _CHOSEN:
        return False
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0pyswarm-tests-{port}")
        with socket.socket() as probe:
            probe.bind(("", port))
    except OSError:
        claim.close()
        return False
    _CHOSEN[port] = claim
    return True
