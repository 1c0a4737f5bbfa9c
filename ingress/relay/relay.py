"""The relay of one node: carries out the plan it was given last, with or without a daemon."""

import errno
import os
from typing import Protocol

from core.clock import SECOND
from core.errors import FailedPrecondition, InvalidArgument
from identity.model import PemBundle
from ingress import control
from ingress.control import Message, Settings
from ingress.relay.attempt import Reach
from ingress.relay.capacity import Capacity
from ingress.relay.control import ControlServer
from ingress.relay.counters import Counters
from ingress.relay.entrance import Entrance
from ingress.relay.loop import Loop
from ingress.relay.peers import Peers
from ingress.relay.service import Service
from ingress.relay.tls import Tls
from ingress.relay.windows import Budget
from ingress.routes import EMPTY, Remote, from_json, patched

BIND_RETRY = 1 * SECOND
MAX_LOGS = 20
"""Per second: what strangers do to the relay port must not fill a log."""
WINDOW_BUDGET = 64 * 1024 * 1024
"""Bytes that fast streams' windows may have together, above what each stream begins with."""


class Relay:
    def __init__(self, path: str, settings: Settings, capacity: Capacity) -> None:
        """Raises FailedPrecondition if another relay is controlled through `path`."""
        self.loop = Loop(lambda trace: self._log("internal error", trace=trace))
        self._settings = settings
        self._capacity = capacity
        self._counters = Counters()
        budget = Budget(WINDOW_BUDGET)
        self._peers = Peers(self.loop, settings.relay_port, budget, self._log)
        self._reach = Reach(self.loop, self._peers, capacity, self._counters)
        self._entrance = Entrance(self._reach, budget, self._log)
        self._services: dict[int, Service] = {}
        self._plan = EMPTY
        self._identity: tuple[PemBundle, str] | None = None
        self._errors: dict[int, str] = {}
        self._retrying = False
        self._stopping = False
        self._log_second = 0
        self._logged = 0
        self._calls = {
            "hello": self._hello,
            "plan": self._set_plan,
            "tls": self._set_tls,
            "stats": self._stats,
            "stop": self._stop,
        }
        self._control = ControlServer(self.loop, path, self._answer)
        self._bind()

    def _answer(self, message: Message) -> Message:
        call = self._calls.get(str(message.get("call")))
        if call is None:
            raise InvalidArgument("unknown call")
        if self._stopping:
            raise FailedPrecondition("the relay is stopping")
        return call(message)

    def _hello(self, message: Message) -> Message:
        return {
            "version": control.VERSION,
            "settings": self._settings,
            "plan_version": self._plan.version,
        }

    def _set_plan(self, message: Message) -> Message:
        change = from_json(message.get("change"))
        base = message.get("base")
        if base is not None and base != self._plan.version:
            raise FailedPrecondition(f"the relay has version {self._plan.version} of the plan, not {base}")
        new = patched(EMPTY if base is None else self._plan, change)
        self._plan = new
        for port in self._services.keys() - new.listeners.keys():
            self._services.pop(port).close()
        for port in change.listeners if base is not None else new.listeners:
            self._services.setdefault(port, Service(self._reach)).replace(new.listeners[port])
        self._entrance.admit(new.exports, new.nodes)
        remotes = (backend for backends in new.listeners.values() for backend in backends)
        self._peers.keep({(item.node_id, item.address) for item in remotes if isinstance(item, Remote)})
        self._bind()
        return {"errors": self._port_errors()}

    def _set_tls(self, message: Message) -> Message:
        fields = [message.get(name) for name in ("key", "certificate", "root", "cluster_id")]
        if not all(isinstance(field, str) for field in fields):
            raise InvalidArgument("incomplete TLS material")
        key, certificate, root, cluster_id = (str(field) for field in fields)
        bundle = PemBundle(key.encode(), certificate.encode(), root.encode())
        if (bundle, cluster_id) != self._identity:  # a daemon that was restarted hands over what we have
            tls = Tls(bundle, cluster_id)
            self._identity = (bundle, cluster_id)
            self._peers.use(tls)
            self._entrance.use(tls)
        return {}

    def _stats(self, message: Message) -> Message:
        return {
            "pid": os.getpid(),
            **self._counters.as_dict(),
            "open": self._capacity.used,
            "relays_in": self._entrance.connections,
            "relays_out": self._peers.connections,
            "plan_version": self._plan.version,
        }

    def _stop(self, message: Message) -> Message:
        drain = message.get("drain", 0)
        if type(drain) is not int or drain < 0:
            raise InvalidArgument("drain is a number of nanoseconds")
        self._stopping = True
        for service in self._services.values():
            service.close()
        self._entrance.retire()
        self.loop.at_end_of_turn(self._control.close)
        self._end_at(self.loop.now + drain)
        return {}

    def _end_at(self, deadline: int) -> None:
        """Ends with the last connection, or then."""
        if self.loop.now >= deadline or not self._capacity.used:
            self.loop.at_end_of_turn(self.loop.stop)
        else:
            self.loop.call_later(SECOND // 10, lambda: self._end_at(deadline))

    def _bind(self) -> bool:
        """Takes the ports that are not ours yet; says whether any of the errors has changed."""
        errors: dict[int, str] = {}
        for port, service in self._services.items():
            if not service.bound:
                _try(service, self._settings.address, port, errors)
        if not self._entrance.bound:
            _try(self._entrance, self._settings.relay_address, self._settings.relay_port, errors)
        changed = errors != self._errors
        self._errors = errors
        if errors and not self._retrying:
            self._retrying = True
            self.loop.call_later(BIND_RETRY, self._bind_again)
        return changed

    def _bind_again(self) -> None:
        self._retrying = False
        if not self._stopping and self._bind():
            event = {"event": "ports", "version": self._plan.version, "errors": self._port_errors()}
            self._control.tell(event)

    def _port_errors(self) -> list[tuple[int, str]]:
        return sorted(self._errors.items())

    def _log(self, message: str, **fields: str) -> None:
        second = self.loop.now // SECOND
        if second != self._log_second:
            self._log_second, self._logged = second, 0
        self._logged += 1
        if self._logged <= MAX_LOGS:
            self._control.tell({"event": "log", "message": message, "fields": fields})


class _Bindable(Protocol):
    def bind(self, address: str, port: int) -> None: ...


def _try(bindable: _Bindable, address: str, port: int, errors: dict[int, str]) -> None:
    try:
        bindable.bind(address, port)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        cause = "another program on this node uses it" if taken else os.strerror(error.errno or 0)
        errors[port] = f"port {port} cannot be served: {cause}"
