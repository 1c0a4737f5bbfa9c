"""`python -m ingress.relay --control PATH`: the relay as a process. What it is to do reaches it through that socket."""

import argparse
import gc
import os
import resource
import signal
import sys

from core.errors import PyswarmError
from core.ports import RELAY_PORT
from ingress.control import READY, Settings
from ingress.relay.capacity import Capacity, raise_file_limit
from ingress.relay.relay import Relay

GARBAGE = 20_000
"""Objects made and not yet freed that let the collector look for cycles; connections leave none behind."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ingress.relay", description="Relays published ports.")
    parser.add_argument("--control", required=True, metavar="PATH", help="the unix socket to be controlled through")
    parser.add_argument("--address", default="", help="where published ports are served (default: all addresses)")
    parser.add_argument("--relay-address", default="", help="where other relays connect to (default: all addresses)")
    parser.add_argument("--relay-port", type=int, default=RELAY_PORT, help="of every relay (default: %(default)s)")
    arguments = parser.parse_args()
    _let_go_of_inherited_files()
    os.chdir("/")
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the daemon, which this process outlives
    settings = Settings(arguments.address, arguments.relay_address, arguments.relay_port)
    try:
        relay = Relay(arguments.control, settings, Capacity(raise_file_limit()))
    except (PyswarmError, OSError) as error:
        print(error)
        return 1
    print(READY, end="", flush=True)
    _let_go_of_output()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    relay.loop.run()
    return 0


def _let_go_of_inherited_files() -> None:
    """A socket that slipped through from the daemon would stay open after its death."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.closerange(3, min(limit, 2**31 - 1) if limit != resource.RLIM_INFINITY else 2**31 - 1)


def _let_go_of_output() -> None:
    """Whoever started this process need not outlive it; from now on it speaks through the control socket."""
    null = os.open(os.devnull, os.O_RDWR)
    for output in (1, 2):
        os.dup2(null, output)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
