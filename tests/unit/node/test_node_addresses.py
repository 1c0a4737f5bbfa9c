"""Addresses: what a user may type, and what is chosen when nothing was."""

import pytest

from core.errors import InvalidArgument
from pyswarm.node.addresses import (
    HostPort,
    advertised,
    bootstrap_address,
    interface_addresses,
    parse_host_port,
    towards,
)

ONE = {"lo": ["127.0.0.1"], "eth0": ["192.0.2.7", "2001:db8::7"], "docker0": ["172.17.0.1"], "veth1": ["10.0.0.1"]}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("192.0.2.1", HostPort("192.0.2.1", 2377)),
        ("192.0.2.1:80", HostPort("192.0.2.1", 80)),
        ("manager-1:65535", HostPort("manager-1", 65535)),
        ("[2001:db8::1]", HostPort("2001:db8::1", 2377)),
        ("[2001:db8::1]:80", HostPort("2001:db8::1", 80)),
        ("2001:db8::1", HostPort("2001:db8::1", 2377)),
    ],
)
def test_an_address_is_read_and_written_back(text: str, parsed: HostPort) -> None:
    assert parse_host_port(text) == parsed
    assert parse_host_port(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", ":80", "a b", "host/path", "[2001:db8::1", "[2001:db8::1]80", "[]:80"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid address"):
        parse_host_port(text)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8_0", "٣"])
def test_what_is_no_port_is_named(port: str) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid port .* from 1 to 65535"):
        parse_host_port(f"192.0.2.1:{port}")


def test_new_nodes_ask_at_the_next_port() -> None:
    assert bootstrap_address("192.0.2.1:2377") == "192.0.2.1:2378"
    assert bootstrap_address("[2001:db8::1]") == "[2001:db8::1]:2378"


def test_the_only_address_is_chosen_and_the_engines_own_networks_are_none() -> None:
    assert advertised("", ONE) == HostPort("192.0.2.7", 2377)


def test_several_addresses_are_shown_to_choose_from() -> None:
    with pytest.raises(InvalidArgument, match=r"192.0.2.7 on eth0 and 198.51.100.7 on eth1.*--advertise-addr"):
        advertised("", {**ONE, "eth1": ["198.51.100.7"]})


def test_a_machine_without_a_network_says_so() -> None:
    with pytest.raises(InvalidArgument, match=r"no address that others could reach.*--advertise-addr"):
        advertised("", {"lo": ["127.0.0.1"]})


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("eth0", HostPort("192.0.2.7", 2377)),
        ("eth0:9000", HostPort("192.0.2.7", 9000)),
        ("203.0.113.5", HostPort("203.0.113.5", 2377)),
        ("[2001:db8::9]:9000", HostPort("2001:db8::9", 9000)),
    ],
)
def test_an_interface_or_an_address_may_be_named(wanted: str, chosen: HostPort) -> None:
    """An address need not be this machine's: it may be behind an address translation."""
    assert advertised(wanted, ONE) == chosen


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ("eth9", "neither an IP address nor an interface of this machine .*eth0"),
        ("0.0.0.0", "must be able to connect"),
        ("[::]:2377", "must be able to connect"),
        ("224.0.0.1", "must be able to connect"),
    ],
)
def test_what_nobody_could_connect_to_is_refused(wanted: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        advertised(wanted, ONE)


def test_the_machines_own_addresses_are_found_without_link_local_ones() -> None:
    addresses = [address for found in interface_addresses().values() for address in found]
    assert "127.0.0.1" in addresses
    assert not any(address.startswith(("fe80", "169.254.")) for address in addresses)


def test_the_way_to_a_manager_tells_our_address() -> None:
    assert towards("127.0.0.1:2377") == "127.0.0.1"


def test_no_way_to_a_manager_tells_none() -> None:
    assert towards("no.such.host.invalid:2377") == ""
