"""ContainerSpec: what a task's container runs and what it is given."""

from core.errors import InvalidArgument
from core.model import ContainerSpec, DNSConfig, HealthCheck, Ulimit
from pyswarm.engineapi.wire.fields import INT64_MAX, Fields
from pyswarm.engineapi.wire.file_references import (
    read_config_reference,
    read_secret_reference,
    show_config_reference,
    show_secret_reference,
)
from pyswarm.engineapi.wire.json_types import Json, given, ordered, some
from pyswarm.engineapi.wire.mounts import read_mount, show_mount

_ISOLATION = "default"


def read_container(fields: Fields) -> ContainerSpec:
    """Without registry credentials: these come beside the spec. Raises InvalidArgument."""
    if fields.text("Isolation") not in ("", _ISOLATION):
        raise InvalidArgument(f"{fields.name('Isolation')}: pyswarm runs Linux containers only")
    return ContainerSpec(
        image=fields.text("Image"),
        labels=fields.labels("Labels"),
        command=fields.texts("Command"),
        args=fields.texts("Args"),
        hostname=fields.text("Hostname"),
        env=fields.texts("Env"),
        dir=fields.text("Dir"),
        user=fields.text("User"),
        groups=fields.texts("Groups"),
        init=fields.maybe_flag("Init"),
        stop_signal=fields.text("StopSignal"),
        stop_grace_period=fields.maybe_integer("StopGracePeriod"),
        tty=fields.flag("TTY"),
        open_stdin=fields.flag("OpenStdin"),
        read_only=fields.flag("ReadOnly"),
        mounts=tuple(read_mount(mount) for mount in fields.children("Mounts")),
        health_check=_read_health(fields.child("Healthcheck")),
        hosts=fields.texts("Hosts"),
        secrets=tuple(read_secret_reference(reference) for reference in fields.children("Secrets")),
        configs=tuple(read_config_reference(reference) for reference in fields.children("Configs")),
        dns=_read_dns(fields.child("DNSConfig")),
        sysctls=fields.labels("Sysctls"),
        cap_add=fields.texts("CapabilityAdd"),
        cap_drop=fields.texts("CapabilityDrop"),
        ulimits=tuple(_read_ulimit(ulimit) for ulimit in fields.children("Ulimits")),
        oom_score_adj=fields.integer("OomScoreAdj", low=-INT64_MAX),
    )


def show_container(spec: ContainerSpec) -> Json:
    """Registry credentials are never shown."""
    return {
        **some(
            Image=spec.image,
            Labels=ordered(spec.labels),
            Command=list(spec.command),
            Args=list(spec.args),
            Hostname=spec.hostname,
            Env=list(spec.env),
            Dir=spec.dir,
            User=spec.user,
            Groups=list(spec.groups),
        ),
        **given(Init=spec.init),
        **some(
            StopSignal=spec.stop_signal,
            TTY=spec.tty,
            OpenStdin=spec.open_stdin,
            ReadOnly=spec.read_only,
            Mounts=[show_mount(mount) for mount in spec.mounts],
        ),
        **given(
            StopGracePeriod=spec.stop_grace_period,
            Healthcheck=spec.health_check and _show_health(spec.health_check),
        ),
        **some(Hosts=list(spec.hosts)),
        **given(DNSConfig=spec.dns and _show_dns(spec.dns)),
        **some(
            Secrets=[show_secret_reference(reference) for reference in spec.secrets],
            Configs=[show_config_reference(reference) for reference in spec.configs],
        ),
        "Isolation": _ISOLATION,
        **some(
            Sysctls=ordered(spec.sysctls),
            CapabilityAdd=list(spec.cap_add),
            CapabilityDrop=list(spec.cap_drop),
            Ulimits=[{"Name": ulimit.name, "Hard": ulimit.hard, "Soft": ulimit.soft} for ulimit in spec.ulimits],
            OomScoreAdj=spec.oom_score_adj,
        ),
    }


def _read_health(fields: Fields | None) -> HealthCheck | None:
    if fields is None:
        return None
    return HealthCheck(
        test=fields.texts("Test"),
        interval=fields.integer("Interval"),
        timeout=fields.integer("Timeout"),
        start_period=fields.integer("StartPeriod"),
        start_interval=fields.integer("StartInterval"),
        retries=fields.integer("Retries"),
    )


def _show_health(check: HealthCheck) -> Json:
    return some(
        Test=list(check.test),
        Interval=check.interval,
        Timeout=check.timeout,
        StartPeriod=check.start_period,
        StartInterval=check.start_interval,
        Retries=check.retries,
    )


def _read_dns(fields: Fields | None) -> DNSConfig | None:
    if fields is None:
        return None
    return DNSConfig(
        nameservers=fields.texts("Nameservers"), search=fields.texts("Search"), options=fields.texts("Options")
    )


def _show_dns(dns: DNSConfig) -> Json:
    return some(Nameservers=list(dns.nameservers), Search=list(dns.search), Options=list(dns.options))


def _read_ulimit(fields: Fields) -> Ulimit:
    return Ulimit(
        name=fields.text("Name"),
        hard=fields.integer("Hard", low=-1),
        soft=fields.integer("Soft", low=-1),
    )
