"""What a task's container runs and is given."""

import json
import re
from ipaddress import ip_address

from core.clock import MILLISECOND
from core.errors import InvalidArgument
from core.model import ContainerSpec, DNSConfig, HealthCheck, Ulimit
from manager.control.validation.checks import check_count, check_duration
from manager.control.validation.dependencies import validate_references
from manager.control.validation.mounts import validate_mounts

_MAX_IMAGE = 1024
# The grammar of a reference: https://github.com/distribution/reference, without its rarest forms of a host.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|__|_|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9]*(?:[+-]\d+)?|\d{1,2}", re.IGNORECASE)
_CAPABILITY = re.compile(r"[A-Z][A-Z_]*", re.IGNORECASE)
_ULIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
_TESTS = ("NONE", "CMD", "CMD-SHELL")
_WORST_SCORE = 1000


def validate_container(container: ContainerSpec) -> None:
    """Raises InvalidArgument."""
    if not container.image:
        raise InvalidArgument("ContainerSpec: image reference must be provided")
    if len(container.image) > _MAX_IMAGE or not _IMAGE.fullmatch(container.image):
        image = json.dumps(container.image[:_MAX_IMAGE], ensure_ascii=False)
        raise InvalidArgument(f"ContainerSpec: {image} is not a valid repository/tag")
    check_duration("the stop grace period", container.stop_grace_period)
    if container.stop_signal and not _SIGNAL.fullmatch(container.stop_signal):
        raise InvalidArgument(f"ContainerSpec: {container.stop_signal!r} is no signal: write it like SIGTERM or 15")
    if container.isolation not in ("", "default"):
        raise InvalidArgument(f"ContainerSpec: isolation {container.isolation!r} is not there: leave it out")
    if not -_WORST_SCORE <= container.oom_score_adj <= _WORST_SCORE:
        raise InvalidArgument(f"the OOM score adjustment must be from -1000 to 1000, not {container.oom_score_adj}")
    for capability in (*container.cap_add, *container.cap_drop):
        if not _CAPABILITY.fullmatch(capability):
            raise InvalidArgument(f"{capability!r} is no capability: write it like NET_ADMIN or ALL")
    for line in container.hosts:
        _validate_host(line)
    if "" in container.sysctls:
        raise InvalidArgument("a sysctl needs a name: write it like net.core.somaxconn=1024")
    _validate_ulimits(container.ulimits)
    if container.dns is not None:
        _validate_dns(container.dns)
    if container.health_check is not None:
        _validate_health(container.health_check)
    validate_mounts(container.mounts)
    validate_references(container)


def _validate_health(check: HealthCheck) -> None:
    for name, period in (
        ("interval", check.interval),
        ("timeout", check.timeout),
        ("start period", check.start_period),
        ("start interval", check.start_interval),
    ):
        if period:
            check_duration(f"the health check's {name}", period, MILLISECOND)
    check_count("the health check's retries", check.retries)
    if not check.test:
        return
    kind, *command = check.test
    if kind not in _TESTS:
        raise InvalidArgument(f"a health check's test begins with {', '.join(_TESTS)}, not with {kind!r}")
    if kind != "NONE" and not any(command):
        raise InvalidArgument(f"a health check's test of the kind {kind} needs a command")


def _validate_dns(dns: DNSConfig) -> None:
    for server in dns.nameservers:
        if not _is_address(server):
            raise InvalidArgument(f"the name server {server!r} is no IP address")


def _validate_host(line: str) -> None:
    address, *names = line.split() or [""]
    if not names or not (_is_address(address) or address == "host-gateway"):
        raise InvalidArgument(f"invalid host {line!r}: write an IP address and a name, like '10.0.0.9 db'")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _validate_ulimits(ulimits: tuple[Ulimit, ...]) -> None:
    names: set[str] = set()
    for limit in ulimits:
        if limit.name not in _ULIMITS.split():
            raise InvalidArgument(f"invalid ulimit {limit.name!r}: there are {_ULIMITS}")
        if limit.name in names:
            raise InvalidArgument(f"ulimit {limit.name} is given twice")
        names.add(limit.name)
        if min(limit.soft, limit.hard) < -1:
            raise InvalidArgument(f"ulimit {limit.name} cannot be below -1, which is without limit")
        if limit.hard != -1 and (limit.soft == -1 or limit.soft > limit.hard):
            raise InvalidArgument(
                f"ulimit {limit.name}: the soft limit must not be above the hard one: {limit.soft} > {limit.hard}"
            )
