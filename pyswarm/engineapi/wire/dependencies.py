"""Secrets and configs: what is asked (their specs) and what there is. A secret's data is read and never shown."""

import base64
import binascii

from core.errors import InvalidArgument
from core.model import Config, ConfigSpec, Secret, SecretSpec
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, ordered, show_meta, some


def read_secret_spec(body: object) -> SecretSpec:
    fields = Fields(body)
    spec = SecretSpec(
        name=fields.text("Name"),
        labels=fields.labels("Labels"),
        data=_read_data(fields),
        templating=_read_templating(fields),
    )
    fields.finish()
    return spec


def read_config_spec(body: object) -> ConfigSpec:
    fields = Fields(body)
    spec = ConfigSpec(
        name=fields.text("Name"),
        labels=fields.labels("Labels"),
        data=_read_data(fields),
        templating=_read_templating(fields),
    )
    fields.finish()
    return spec


def read_new_data(body: object) -> bytes:
    """Of a new version: `{"Data": ...}`."""
    fields = Fields(body)
    data = _read_data(fields)
    fields.finish()
    return data


def show_secret(secret: Secret) -> Json:
    """`Revision` and `SupersededBy` (the id of the next version) are pyswarm's own."""
    return {**_show(secret), "Spec": _show_spec(secret.spec)}


def show_config(config: Config) -> Json:
    data = {"Data": base64.b64encode(config.spec.data).decode()}
    return {**_show(config), "Spec": _show_spec(config.spec, data)}


def _show(item: Secret | Config) -> Json:
    return {
        **show_meta(item.id, item.meta),
        "Revision": item.revision,
        **some(SupersededBy=item.superseded_by),
    }


def _show_spec(spec: SecretSpec | ConfigSpec, data: Json | None = None) -> Json:
    return {
        "Name": spec.name,
        "Labels": ordered(spec.labels),
        **(data or {}),
        **some(Templating=spec.templating and {"Name": spec.templating}),
    }


def _read_data(fields: Fields) -> bytes:
    try:
        return base64.b64decode(fields.text("Data"), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument("Data must be base64") from None


def _read_templating(fields: Fields) -> str:
    templating = fields.child("Templating")
    return templating.text("Name") if templating is not None else ""
