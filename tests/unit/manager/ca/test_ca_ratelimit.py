"""How often one address may ask."""

import pytest

from core.clock import SECOND
from manager.ca.ratelimit import RateLimit, source_of


def test_a_burst_is_let_through_and_then_so_many_a_second() -> None:
    limit = RateLimit(rate=2, burst=3)
    assert [limit.allows("a", 0) for _ in range(5)] == [True, True, True, False, False]
    assert [limit.allows("a", SECOND) for _ in range(3)] == [True, True, False]
    assert [limit.allows("a", 60 * SECOND) for _ in range(4)] == [True, True, True, False]


def test_sources_do_not_share_their_allowance() -> None:
    limit = RateLimit(rate=1, burst=1)
    assert limit.allows("a", 0)
    assert limit.allows("b", 0)
    assert not limit.allows("a", 0)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    limit = RateLimit(rate=1, burst=1)
    assert limit.allows("a", 10 * SECOND)
    assert not limit.allows("a", 0)
    assert limit.allows("a", SECOND)


def test_the_sources_longest_silent_are_forgotten() -> None:
    limit = RateLimit(rate=0.001, burst=1, sources=2)
    assert limit.allows("a", 0)
    assert limit.allows("b", 1)
    assert not limit.allows("a", 2)
    assert limit.allows("c", 3)  # forgets b
    assert not limit.allows("a", 4)
    assert limit.allows("b", 5)


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("ipv4:192.0.2.7:40000", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:40000", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2::9]:1", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:1", "fe80::/64"),
        ("unix:/run/x", "unix:/run/x"),
        ("", ""),
    ],
)
def test_a_source_is_an_address_or_a_network(peer: str, source: str) -> None:
    assert source_of(peer) == source
