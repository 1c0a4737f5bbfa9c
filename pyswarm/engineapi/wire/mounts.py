"""Mounts of a container."""

from core.model import BindOptions, Mount, MountType, TmpfsOptions, VolumeOptions
from pyswarm.engineapi.wire.fields import INT32_MAX, Fields
from pyswarm.engineapi.wire.json_types import Json, given, ordered, some
from pyswarm.engineapi.wire.names import MOUNT_TYPES, word


def read_mount(fields: Fields) -> Mount:
    return Mount(
        type=fields.choice("Type", MOUNT_TYPES, MountType.VOLUME),
        source=fields.text("Source"),
        target=fields.text("Target"),
        read_only=fields.flag("ReadOnly"),
        consistency=fields.text("Consistency"),
        bind=_read_bind(fields.child("BindOptions")),
        volume=_read_volume(fields.child("VolumeOptions")),
        tmpfs=_read_tmpfs(fields.child("TmpfsOptions")),
    )


def show_mount(mount: Mount) -> Json:
    return {
        "Type": word(mount.type),
        **some(
            Source=mount.source,
            Target=mount.target,
            ReadOnly=mount.read_only,
            Consistency=mount.consistency,
        ),
        **given(
            BindOptions=mount.bind and _show_bind(mount.bind),
            VolumeOptions=mount.volume and _show_volume(mount.volume),
            TmpfsOptions=mount.tmpfs and some(SizeBytes=mount.tmpfs.size_bytes, Mode=mount.tmpfs.mode),
        ),
    }


def _read_bind(fields: Fields | None) -> BindOptions | None:
    if fields is None:
        return None
    return BindOptions(
        propagation=fields.text("Propagation"),
        non_recursive=fields.flag("NonRecursive"),
        create_mountpoint=fields.flag("CreateMountpoint"),
    )


def _show_bind(bind: BindOptions) -> Json:
    return some(
        Propagation=bind.propagation,
        NonRecursive=bind.non_recursive,
        CreateMountpoint=bind.create_mountpoint,
    )


def _read_volume(fields: Fields | None) -> VolumeOptions | None:
    if fields is None:
        return None
    driver = fields.child("DriverConfig")
    return VolumeOptions(
        no_copy=fields.flag("NoCopy"),
        labels=fields.labels("Labels"),
        driver=driver.text("Name") if driver else "",
        driver_options=driver.labels("Options") if driver else {},
    )


def _show_volume(volume: VolumeOptions) -> Json:
    return some(
        NoCopy=volume.no_copy,
        Labels=ordered(volume.labels),
        DriverConfig=some(Name=volume.driver, Options=ordered(volume.driver_options)),
    )


def _read_tmpfs(fields: Fields | None) -> TmpfsOptions | None:
    if fields is None:
        return None
    return TmpfsOptions(size_bytes=fields.integer("SizeBytes"), mode=fields.integer("Mode", high=INT32_MAX))
