"""The wheel: what is in it, and that the command runs from it alone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packaging.wheel_contents import MUST_HOLD, complaints

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: a build leaves nothing in the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / "source" / name)
    build = [sys.executable, "-m", "build", "-q", "--wheel", "--outdir", str(place / "dist"), str(place / "source")]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = (place / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_the_product_and_nothing_else(wheel: Path) -> None:
    assert complaints(str(wheel)) == []


@pytest.mark.parametrize("foreign", ["tests/conftest.py", "benchmarks/cluster.py", "vagrant/Vagrantfile"])
def test_what_does_not_belong_would_be_seen(tmp_path: Path, foreign: str) -> None:
    made = tmp_path / "made.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for name in (MUST_HOLD - {"pyswarm/__main__.py"}) | {foreign}:
            archive.writestr(name, "")
    assert complaints(str(made)) == [
        f"does not belong in the wheel: {foreign}",
        "is missing from the wheel: pyswarm/__main__.py",
    ]


def test_the_command_runs_from_the_wheel_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """In a virtual environment of its own; what it depends on is lent by the environment of the tests."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    lent = tmp_path / "lent"
    lent.mkdir()
    ours = {path.name for path in packages.iterdir()}
    for entry in _site_packages().iterdir():
        if entry.name not in ours and not entry.name.endswith(".pth") and not entry.name.startswith("pyswarm_"):
            (lent / entry.name).symlink_to(entry)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(lent)}

    def say(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert "Usage: pyswarm" in say(str(tmp_path / "venv/bin/pyswarm"), "--help")
    where = say(str(python), "-c", "import pyswarm, pyswarm.node.daemon as d; print(pyswarm.__file__, d.__file__)")
    assert all(path.startswith(str(packages)) for path in where.split())


def _site_packages() -> Path:
    return Path(pytest.__file__).parents[1]
