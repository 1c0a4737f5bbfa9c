"""A registry on the loopback of a PrivateEngine, which asks for a password."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.engine import PrivateEngine
from tests.support.waiting import wait_for

ADDRESS = "127.0.0.1:5000"
USER, PASSWORD = "alice", "wonderland"
_HTPASSWD = "alice:$2y$05$0wh3ZS31hFQgSYojlNTfaei9D.imajMsP/5/9F7DAfm3a7tvqVRHi\n"
"""Of that password."""
_CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "{address}"}}
auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}
"""


def credentials(password: str = PASSWORD) -> str:
    """As X-Registry-Auth."""
    given = {"username": USER, "password": password, "serveraddress": ADDRESS}
    return base64.urlsafe_b64encode(json.dumps(given).encode()).decode()


@contextmanager
def registry(engine: PrivateEngine, folder: Path) -> Iterator[str]:
    """With the engine's busybox in it, and no longer under that name in the engine; the name of the image."""
    (folder / "htpasswd").write_text(_HTPASSWD)
    (folder / "config.yml").write_text(_CONFIG.format(folder=folder, address=ADDRESS))
    process = engine.run("docker-registry", "serve", str(folder / "config.yml"))
    image, headers = f"{ADDRESS}/busybox", {"X-Registry-Auth": credentials()}
    try:
        engine.request("POST", f"/images/busybox/tag?repo={image}&tag=v1")
        wait_for("the registry takes the image", lambda: _pushed(engine, image, headers))
        engine.request("DELETE", f"/images/{image}:v1")
        yield f"{image}:v1"
    finally:
        process.kill()
        process.wait()


def _pushed(engine: PrivateEngine, image: str, headers: dict[str, str]) -> bool:
    return b'"error"' not in engine.ask("POST", f"/images/{image}/push?tag=v1", headers=headers)
