"""Several hosts on one machine, each with its own network address, its own processes and its own Docker Engine.

A host is a network, mount, process, UTS and IPC namespace and a cgroup; its first process is `pyswarm.dev.init`.
Hosts hang on a switch in a namespace of its own, so the machine's firewall never sees what they say to each other.
Root only. Proved on cgroup v1; the cgroup v2 half is written to the kernel's documentation and not verified.
"""

from pyswarm.dev.host import Host
from pyswarm.dev.lab import Lab, LabConfig
from pyswarm.dev.shell import LabError

__all__ = ["Host", "Lab", "LabConfig", "LabError"]
