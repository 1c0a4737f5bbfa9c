"""Says whether a wheel holds what it should and nothing else. Usage: wheel_contents.py WHEEL"""

import sys
import zipfile

PACKAGES = {"core", "identity", "ingress", "manager", "proto", "pyswarm", "raft", "worker"}
MUST_HOLD = {"pyswarm/__main__.py", "proto/model_pb2.py", "ingress/relay/__main__.py", "pyswarm/node/pyswarm.service"}


def complaints(wheel: str) -> list[str]:
    names = set(zipfile.ZipFile(wheel).namelist())
    foreign = sorted(n for n in names if n.split("/")[0] not in PACKAGES and ".dist-info/" not in n)
    return [f"does not belong in the wheel: {n}" for n in foreign] + [
        f"is missing from the wheel: {n}" for n in sorted(MUST_HOLD - names)
    ]


if __name__ == "__main__":
    found = complaints(sys.argv[1])
    print("\n".join(found) or f"{sys.argv[1].rsplit('/', 1)[-1]}: as it should be")
    sys.exit(bool(found))
