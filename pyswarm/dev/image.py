"""A small image for the hosts: from a registry if one answers, else from Debian's static busybox."""

import io
import subprocess
import tarfile
from pathlib import Path

from pyswarm.dev.shell import LabError, run

BUSYBOX = Path("/bin/busybox")
IMAGE = "busybox:latest"


def saved_by_engine(image: str = IMAGE) -> bytes | None:
    """The image as `docker save` writes it, from the machine's own engine if that has it or can pull it; else None."""
    if _docker("image", "inspect", image) is None and _docker("pull", "-q", image) is None:
        return None
    return _docker("save", image)


def built_from_busybox() -> bytes:
    """A root file system with a link for every applet, as a tar for `docker import`."""
    if not BUSYBOX.exists():
        raise LabError("no image can be pulled and busybox is not installed; on Debian: apt-get install busybox-static")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        tar.add(BUSYBOX.resolve(), "bin/busybox")
        for applet in run(str(BUSYBOX), "--list").split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("etc/group", "root:x:0:\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _docker(*arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
