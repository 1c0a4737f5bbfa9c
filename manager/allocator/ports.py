"""Which service holds which published port, and a free one for who does not mind which."""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace

from core.errors import FailedPrecondition
from core.model import PortConfig, Protocol, PublishMode

FIRST_AUTOMATIC = 30_000
LAST_AUTOMATIC = 32_767

Key = tuple[Protocol, int]


class PortTable:
    """Ingress ports belong to one service each. Host ports may be shared, but no ingress port is put onto one."""

    def __init__(self) -> None:
        self._ports: dict[str, Sequence[PortConfig]] = {}
        self._ingress: dict[Key, str] = {}
        self._host: Counter[Key] = Counter()
        self._next: dict[Protocol, int] = {}

    def restore(self, service_id: str, ports: Sequence[PortConfig]) -> None:
        """Takes back what was allocated before, but for ports that another service has taken back already."""
        self._hold(service_id, [port for port in ports if self._holder(port) in (None, service_id)])

    def release(self, service_id: str) -> bool:
        """Whether the service held anything."""
        ports = self._ports.pop(service_id, ())
        for port in ports:
            key = (port.protocol, port.published_port)
            if port.publish_mode is PublishMode.INGRESS:
                del self._ingress[key]
            else:
                self._host[key] -= 1
        return bool(ports)

    def allocate(self, service_id: str, wanted: Sequence[PortConfig]) -> tuple[PortConfig, ...]:
        """`wanted` with every automatic ingress port filled in; the service holds these, and no longer what it held.

        A port that was picked for the service before stays its own while the rest of its description is the same; there
        may be several that are described alike.
        Raises FailedPrecondition with the reason, and leaves everything as it was.
        """
        picked: defaultdict[PortConfig, deque[PortConfig]] = defaultdict(deque)
        stated = {(port.protocol, port.published_port) for port in wanted}
        for port in self._ports.get(service_id, ()):
            if (port.protocol, port.published_port) not in stated:
                picked[_description(port)].append(port)
        chosen = [
            former.popleft() if _is_automatic(port) and (former := picked[_description(port)]) else port
            for port in wanted
        ]
        self._check(service_id, chosen)
        taken = {(port.protocol, port.published_port) for port in chosen}
        for position, port in enumerate(chosen):
            if _is_automatic(port):
                number = self._pick(port.protocol, taken)
                chosen[position] = replace(port, published_port=number)
                taken.add((port.protocol, number))
        self.release(service_id)
        self._hold(service_id, chosen)
        return tuple(chosen)

    def _check(self, service_id: str, ports: Sequence[PortConfig]) -> None:
        for port in ports:
            holder = self._holder(port)
            if holder not in (None, service_id):
                raise FailedPrecondition(
                    f"port {port.published_port}/{port.protocol.name.lower()} is held by service {holder}: "
                    f"publish another port, or remove it there"
                )

    def _holder(self, port: PortConfig) -> str | None:
        if port.publish_mode is not PublishMode.INGRESS:
            return None
        return self._ingress.get((port.protocol, port.published_port))

    def _pick(self, protocol: Protocol, taken: set[Key]) -> int:
        """Goes round, so that a port that was just given up is not at once another service's."""
        count = LAST_AUTOMATIC - FIRST_AUTOMATIC + 1
        begin = self._next.get(protocol, FIRST_AUTOMATIC) - FIRST_AUTOMATIC
        for offset in range(count):
            number = FIRST_AUTOMATIC + (begin + offset) % count
            key = (protocol, number)
            if key not in self._ingress and key not in taken and not self._host[key]:
                self._next[protocol] = number + 1
                return number
        raise FailedPrecondition(
            f"no free port is left between {FIRST_AUTOMATIC} and {LAST_AUTOMATIC}: "
            f"name a published port outside, or remove services"
        )

    def _hold(self, service_id: str, ports: Sequence[PortConfig]) -> None:
        self._ports[service_id] = ports
        for port in ports:
            key = (port.protocol, port.published_port)
            if port.publish_mode is PublishMode.INGRESS:
                self._ingress[key] = service_id
            else:
                self._host[key] += 1


def _is_automatic(port: PortConfig) -> bool:
    return port.publish_mode is PublishMode.INGRESS and not port.published_port


def _description(port: PortConfig) -> PortConfig:
    """The port apart from its published number."""
    return replace(port, published_port=0)
