"""Where the engine puts what containers write."""

from core.model import LogDriver
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, ordered, some


def read_log_driver(fields: Fields | None) -> LogDriver | None:
    if fields is None:
        return None
    return LogDriver(name=fields.text("Name"), options=fields.labels("Options"))


def show_log_driver(driver: LogDriver) -> Json:
    return some(Name=driver.name, Options=ordered(driver.options))
