"""Three etcd processes with mutual TLS for clients and peers. Needs Debian's etcd-server."""

import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

from benchmarks.raft_load import Door
from benchmarks.raft_target import HOST, MEMBERS, Target, free_port
from identity.certificates import load_certificate
from identity.keys import key_pem, load_key, new_key
from identity.model import PemBundle
from identity.root import create_root


class Etcd(Target):
    name = "etcd"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700)
        self._bundle = _certificates()
        for name in ("key", "certificate", "root"):
            (folder / name).write_bytes(getattr(self._bundle, name))
        self._clients = [f"{HOST}:{free_port()}" for _ in MEMBERS]
        self._peers = [f"https://{HOST}:{free_port()}" for _ in MEMBERS]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    async def form(self) -> None:
        for member in MEMBERS:
            self.start(member)
        await self.settle()

    def door(self, member: int) -> Door:
        return Door(self._clients[member], "/etcdserverpb.KV/Put", self._bundle, HOST)

    async def status(self, member: int) -> tuple[bool, int]:
        answer = _fields(await self.ask(member, "/etcdserverpb.Maintenance/Status"))
        own_id = _fields(answer[1])[2]
        return answer.get(4) == own_id, answer[7]

    def start(self, member: int) -> None:
        client = f"https://{self._clients[member]}"
        options: dict[str, str | Path] = {
            "name": f"m{member}",
            "data-dir": self._folder / f"m{member}",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": self._peers[member],
            "initial-advertise-peer-urls": self._peers[member],
            "initial-cluster": ",".join(f"m{number}={url}" for number, url in enumerate(self._peers)),
            "logger": "zap",
            "log-level": "error",
        }
        for side in ("", "peer-"):
            options |= {
                f"{side}client-cert-auth": "true",
                f"{side}trusted-ca-file": self._folder / "root",
                f"{side}cert-file": self._folder / "certificate",
                f"{side}key-file": self._folder / "key",
            }
        command = ["etcd", *(f"--{name}={value}" for name, value in options.items())]
        with (self._folder / f"m{member}.log").open("ab") as log:
            self._processes[member] = subprocess.Popen(command, stdout=log, stderr=log)

    def pid(self, member: int) -> int:
        return self._processes[member].pid

    def kill(self, member: int) -> None:
        process = self._processes.pop(member)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for member in tuple(self._processes):
            self.kill(member)


def _certificates() -> PemBundle:
    """One certificate that serves members and clients alike."""
    root, root_key = create_root(time.time_ns())
    key, now = new_key(), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd")]))
        .issuer_name(load_certificate(root).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(load_key(root_key), hashes.SHA256())
    )
    return PemBundle(key_pem(key), certificate.public_bytes(Encoding.PEM), root)


def _fields(message: bytes) -> dict[int, Any]:
    """What a message of unknown type holds, by field number."""
    fields: Any = UnknownFieldSet(Empty.FromString(message))  # its stubs forget that it is a sequence
    return {field.field_number: field.data for field in fields}
