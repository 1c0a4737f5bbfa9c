"""What a container is given as files: references to secrets and configs."""

from core.model import ConfigReference, FileTarget, SecretReference
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json

_MAX_MODE = 2**32 - 1


def read_secret_reference(fields: Fields) -> SecretReference:
    return SecretReference(
        secret_id=fields.text("SecretID"),
        secret_name=fields.text("SecretName"),
        file=_read_file(fields.child("File")),
    )


def show_secret_reference(reference: SecretReference) -> Json:
    return {
        "File": _show_file(reference.file),
        "SecretID": reference.secret_id,
        "SecretName": reference.secret_name,
    }


def read_config_reference(fields: Fields) -> ConfigReference:
    return ConfigReference(
        config_id=fields.text("ConfigID"),
        config_name=fields.text("ConfigName"),
        file=_read_file(fields.child("File")),
    )


def show_config_reference(reference: ConfigReference) -> Json:
    return {
        "File": _show_file(reference.file),
        "ConfigID": reference.config_id,
        "ConfigName": reference.config_name,
    }


def _read_file(fields: Fields | None) -> FileTarget:
    """Owners that are not given are root, as the docker command's are."""
    if fields is None:
        return FileTarget()
    return FileTarget(
        name=fields.text("Name"),
        uid=fields.text("UID") or "0",
        gid=fields.text("GID") or "0",
        mode=fields.integer("Mode", high=_MAX_MODE),
    )


def _show_file(file: FileTarget) -> Json:
    return {"Name": file.name, "UID": file.uid, "GID": file.gid, "Mode": file.mode}
