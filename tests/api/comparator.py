"""Holds an answer of pyswarm against one of Docker's: same status, same type, same keys, and the same values.

What may differ is listed below, each with the reason. A value that names something of the recorded cluster (an id,
a version, a token) must correspond to one of ours, always to the same.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

OTHER_VALUES = {
    "*.CreatedAt": "when it was recorded",
    "*.UpdatedAt": "when it was recorded",
    "*.Timestamp": "when it was recorded",
    "*.LastExecution": "when it was recorded",
    "services.UpdateStatus.StartedAt": "when it was recorded",
    "services.UpdateStatus.CompletedAt": "when it was recorded",
    "*.TLSInfo.*": "another cluster's root certificate",
    "*.TLSInfo": "our nodes in memory have no certificate to show",
    "*.HeartbeatPeriod": "pyswarm's default is 1 s, Docker's 5 s",
    "*.ContainerID": "another container",
    "*.PID": "another process",
    "tasks.NodeID": "the scheduler of either side chooses",
    "tasks.Status.*": "our agents in memory do at once what is wanted",
    "services.ServiceStatus.RunningTasks": "our agents in memory do at once what is wanted",
    "info.Swarm.Warnings": "pyswarm's own words",
    "info.Warnings": "pyswarm's own words",
    "distribution.message": "the registry is asked by the engine, which has words of its own",
}
OTHER_KEYS = {
    "*.Revision": "pyswarm's own: which version of its data a secret or config is",
    "tasks.NodeID": "recorded before the task was placed",
    "tasks.Status.ContainerStatus": "recorded before the container was made",
}
LONGER_TEXTS = {
    "services.message": "pyswarm adds what a name may look like",
    "networks.message": "pyswarm adds that it has no user-defined networks yet",
}

ID = re.compile(r"\b[a-z0-9]{25}\b")
_TOKEN = re.compile(r"SWMTKN-1-[a-z0-9]{50}-[a-z0-9]{25}")
_KEY = re.compile(r"SWMKEY-1-[A-Za-z0-9+/]{43}")
_NAMED = (".ID", ".NodeID", ".Index", ".JoinTokens.Worker", ".JoinTokens.Manager", ".UnlockKey")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z")


class Comparator:
    """Remembers what corresponds to what over a whole story of answers."""

    def __init__(self) -> None:
        self.ours: dict[str, str] = {}
        """Ids, tokens and versions: recorded -> ours."""

    def translate(self, text: str) -> str:
        """`text` with every recorded id and token that is known replaced by ours."""
        text = _TOKEN.sub(lambda match: self.ours.get(match[0], match[0]), text)
        return ID.sub(lambda match: self.ours.get(match[0], match[0]), text)

    def differences(self, endpoint: str, recorded: Any, ours: Any, *, cut: bool = False) -> list[str]:
        """`cut`: the recorded answer is a list of which only some items were kept."""
        if cut and isinstance(ours, list):
            kept = {self.translate(_known_by(item) or "") for item in recorded}
            ours = [item for item in ours if _known_by(item) in kept]
        return list(self._compare(endpoint, recorded, ours))

    def _compare(self, path: str, recorded: Any, ours: Any) -> Iterator[str]:
        if _listed(path, OTHER_VALUES):
            if type(recorded) is not type(ours):
                yield f"{path}: {ours!r} is not of the type of {recorded!r}"
            elif path.endswith(("At", "Timestamp")) and not _TIME.fullmatch(ours):
                yield f"{path}: {ours!r} is not a time as Go writes it"
        elif isinstance(recorded, dict) and isinstance(ours, dict):
            yield from self._compare_objects(path, recorded, ours)
        elif isinstance(recorded, list) and isinstance(ours, list):
            yield from self._compare_lists(path, recorded, ours)
        elif path.endswith(_NAMED) and recorded != "":
            yield from self._correspond(path, recorded, ours)
        elif isinstance(recorded, str) and isinstance(ours, str):
            wanted = self.translate(recorded)
            if ours != wanted and not (_listed(path, LONGER_TEXTS) and ours.startswith(wanted)):
                yield f"{path}: {ours!r} instead of {wanted!r}"
        elif recorded != ours or isinstance(recorded, bool) is not isinstance(ours, bool):
            yield f"{path}: {ours!r} instead of {recorded!r}"

    def _compare_objects(self, path: str, recorded: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
        for key in sorted(recorded.keys() | ours.keys()):
            inner = f"{path}.{key}"
            if key in recorded and key in ours:
                yield from self._compare(inner, recorded[key], ours[key])
            elif not _listed(inner, OTHER_KEYS):
                yield f"{inner}: is {'missing' if key in recorded else 'not in the recorded answer'}"

    def _compare_lists(self, path: str, recorded: list[Any], ours: list[Any]) -> Iterator[str]:
        """Of whole objects the order does not matter: they are matched by what a user would know them by."""
        if len(recorded) != len(ours):
            yield f"{path}: {len(ours)} items instead of {len(recorded)}"
        by_name = {_known_by(item): item for item in ours}
        for position, item in enumerate(recorded[: len(ours)]):
            name = self.translate(_known_by(item) or "") or None
            if name is not None and name not in by_name:
                yield f"{path}: no item for {name}"
                continue
            yield from self._compare(path, item, by_name[name] if name is not None else ours[position])

    def _correspond(self, path: str, recorded: Any, ours: Any) -> Iterator[str]:
        """Versions change hands with every update, so the last one counts; ids and tokens never do."""
        if type(recorded) is not type(ours):
            yield f"{path}: {ours!r} is not of the type of {recorded!r}"
            return
        known = self.ours.setdefault(str(recorded), str(ours))
        if path.endswith(".Index"):
            self.ours[str(recorded)] = str(ours)
        elif known != ours:
            yield f"{path}: {ours!r}, but it was {known!r} before"
        elif path.endswith("ID") and not ID.fullmatch(ours):
            yield f"{path}: {ours!r} is not an id"
        elif ".JoinTokens." in path and not _TOKEN.fullmatch(ours):
            yield f"{path}: {ours!r} is not a token"
        elif path.endswith(".UnlockKey") and not _KEY.fullmatch(ours):
            yield f"{path}: {ours!r} is not a key"


def _known_by(item: Any) -> str | None:
    """A service's name, a task's slot (its node for a global one), a manager's or a node's address."""
    if not isinstance(item, dict):
        return None
    if "ServiceID" in item:
        return f"task of {item.get('Slot', item.get('NodeID'))}"
    name: str | None = item.get("Spec", {}).get("Name") or item.get("Status", {}).get("Addr") or item.get("Addr")
    return name


def _listed(path: str, rules: dict[str, str]) -> bool:
    return any(fnmatchcase(path, rule) for rule in rules)
