"""What nodes listen on, unless they are told otherwise. All TCP."""

MANAGER_PORT = 2377
"""Managers: the log, sessions, and calls passed on to the leader."""
JOINING_OFFSET = 1
"""Managers answer joiners, who have no certificate yet, at their port plus this."""
RELAY_PORT = 7947
"""All nodes: relay to relay."""
