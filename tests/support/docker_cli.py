"""The real docker command, pointed at a socket of ours."""

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    exit: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        """Standard output with every run of blanks as one: columns are as wide as what is in them."""
        return [" ".join(line.split()) for line in self.stdout.splitlines()]


class DockerCli:
    def __init__(self, socket: Path, config: Path) -> None:
        self.command = shutil.which("docker")
        assert self.command, "the docker command is needed for these tests"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(config),
            "DOCKER_CONFIG": str(config),
            "DOCKER_HOST": f"unix://{socket}",
        }

    async def run(self, *arguments: str, stdin: str = "") -> Result:
        process = await asyncio.create_subprocess_exec(
            self.command,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
        )
        stdout, stderr = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Result(process.returncode, stdout.decode(), stderr.decode())

    async def __call__(self, *arguments: str, stdin: str = "") -> Result:
        """Runs what must succeed."""
        result = await self.run(*arguments, stdin=stdin)
        assert result.exit == 0, f"docker {' '.join(arguments)}: {result.stderr or result.stdout}"
        return result
