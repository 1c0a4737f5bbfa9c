"""How often one source address may ask."""

import ipaddress
from collections import OrderedDict
from urllib.parse import unquote

from core.clock import SECOND


class RateLimit:
    """A token bucket for each source: `burst` requests at once, then `rate` a second.

    Remembers the `sources` heard last, so that no crowd of addresses can fill the memory.
    """

    def __init__(self, rate: float, burst: int, sources: int = 4096) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._sources = sources
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def allows(self, source: str, now: int) -> bool:
        """Counts a request of `source` at `now` (ns)."""
        left, since = self._buckets.pop(source, (self._burst, now))
        left = min(self._burst, left + max(0, now - since) / SECOND * self._rate)
        allowed = left >= 1
        self._buckets[source] = (left - 1 if allowed else left, now)
        if len(self._buckets) > self._sources:
            self._buckets.popitem(last=False)
        return allowed


def source_of(peer: str) -> str:
    """The source in gRPC's `ipv4:192.0.2.1:40000` or `ipv6:%5B2001:db8::1%5D:40000`.

    All of an IPv6 network of 64 bits is one source: whoever has one address there has them all.
    """
    address = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return peer
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
