"""The fields of the API's objects for templates: what the API leaves out because it is empty is there all the same.

Docker's command knows from its Go types what is left out; the names below stand in for them.
"""

from collections.abc import Mapping, Sequence

from pyswarm.cli.template import Duration, Moment, NoValue, TemplateError, Value

_MAPS = frozenset({"Labels", "Options", "Sysctls"})
_DURATIONS = frozenset({"StopGracePeriod", "Delay", "Window", "Monitor", "HeartbeatPeriod", "NodeCertExpiry"})
_DURATIONS |= {"Interval", "Timeout", "StartPeriod", "StartInterval"}
_MOMENTS = frozenset({"CreatedAt", "UpdatedAt", "Timestamp", "StartedAt", "CompletedAt", "LastExecution"})

_ABSENT_BY_VALUE: Sequence[tuple[Value, str]] = (
    (
        "",
        "Addr Consistency ContainerID Dir Err Error Hostname Image Message Name NodeAddr NodeID Propagation "
        "PublishMode Source State StopSignal Target User",
    ),
    (
        0,
        "ExitCode ForceUpdate MaxAttempts MaxReplicas MemoryBytes NanoCPUs OomScoreAdj PID Pids PublishedPort Retries "
        "Slot",
    ),
    (Duration(0), "Delay Interval Monitor StartInterval StartPeriod Timeout Window"),
    (False, "ControlAvailable CreateMountpoint Leader NoCopy NonRecursive OpenStdin ReadOnly TTY"),
    (
        [],
        "Args CapabilityAdd CapabilityDrop Command Configs Constraints Env GenericResources Groups Hosts Mounts "
        "Nameservers Networks Platforms Plugins Ports Preferences Search Secrets Test Ulimits VirtualIPs",
    ),
    ({}, "Labels Options Sysctls"),
    (
        None,
        "BindOptions Cluster ContainerStatus DNSConfig Driver EndpointSpec Global GlobalJob Healthcheck Init "
        "JobIteration JobStatus Limits LogDriver ManagerStatus MaxConcurrent MemorySwappiness Placement "
        "PreviousSpec Replicated ReplicatedJob Reservations Resources RestartPolicy RollbackConfig ServiceStatus "
        "StopGracePeriod SwapBytes Templating TmpfsOptions TotalCompletions UpdateConfig UpdateStatus "
        "VolumeOptions",
    ),
)
_ABSENT = {name: value for value, names in _ABSENT_BY_VALUE for name in names.split()}


def api_field(parent: str, value: Mapping[str, Value], name: str) -> Value:
    """A Lookup over parsed answers of the API. Raises TemplateError for a name that they do not have."""
    if name in value:
        return _typed(name, value[name])
    if parent in _MAPS:
        return NoValue()
    if name in _ABSENT:
        return _ABSENT[name]
    raise TemplateError(f"can't evaluate field {name}: there is {', '.join(value) or 'none'}")


def _typed(name: str, value: Value) -> Value:
    if name in _DURATIONS and isinstance(value, int):
        return Duration(value)
    if name in _MOMENTS and isinstance(value, str):
        return Moment(value)
    return value
