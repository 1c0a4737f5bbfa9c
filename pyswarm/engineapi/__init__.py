"""Docker's Engine API (swarm subset) on a local socket: the one public API, for `pyswarm` and `docker` alike.

JSON lives here alone: handlers translate (wire), ask the cluster (ControlApi) or the node (NodeApi), and
translate back.
"""
