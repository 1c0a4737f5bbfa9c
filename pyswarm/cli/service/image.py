"""The image of a service, pinned to what its tag means in the registry just now, so that all nodes run the same."""

from collections.abc import Mapping
from urllib.parse import quote

from pyswarm.cli.client import Client
from pyswarm.cli.errors import ApiError
from pyswarm.cli.json_types import Json


def pin_image(client: Client, template: Json, headers: Mapping[str, str]) -> str:
    """Puts the image's digest and platforms into a task template; if no registry tells them, what to warn of."""
    container = template["ContainerSpec"]
    image = container["Image"]
    try:
        told = client.get(f"/distribution/{quote(image, safe='/:@')}/json", headers=headers)
    except ApiError:
        return (
            f"image {image} could not be accessed on a registry to record\n"
            f"its digest. Each node will access {image} independently,\n"
            "possibly leading to different nodes running different\n"
            "versions of the image.\n"
        )
    if "@" not in image:
        container["Image"] = f"{image}@{told['Descriptor']['digest']}"
    if platforms := told.get("Platforms"):
        template.setdefault("Placement", {})["Platforms"] = [_platform(platform) for platform in platforms]
    return ""


def _platform(platform: Json) -> Json:
    """ARM's versions are told apart by a field that services have none for: any of them is good."""
    architecture = platform.get("architecture", "")
    found = {"Architecture": "" if architecture == "arm" else architecture, "OS": platform.get("os", "")}
    return {name: value for name, value in found.items() if value}
