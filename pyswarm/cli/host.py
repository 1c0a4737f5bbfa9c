"""Where the daemon listens."""

import click

DEFAULT_SOCKET = "/run/pyswarm/pyswarm.sock"
ENVIRONMENT = "PYSWARM_HOST"

host_option = click.option(
    "-H",
    "--host",
    envvar=ENVIRONMENT,
    default=f"unix://{DEFAULT_SOCKET}",
    metavar="unix://PATH",
    help=f"The daemon's socket (default unix://{DEFAULT_SOCKET}; or the environment's {ENVIRONMENT}).",
)
