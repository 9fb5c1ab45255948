"""Which addresses are public, as IANA's registries of special-purpose addresses have it.

https://www.iana.org/assignments/iana-ipv4-special-registry
https://www.iana.org/assignments/iana-ipv6-special-registry
https://www.iana.org/assignments/ipv6-address-space
"""

import pytest

from lookalike.images.addresses import is_public

# The first and last address of each block whose "Globally Reachable" is not "True".
SPECIAL = [
    ("0.0.0.0", "0.255.255.255"),  # "This network"
    ("10.0.0.0", "10.255.255.255"),  # Private-Use
    ("100.64.0.0", "100.127.255.255"),  # Shared Address Space
    ("127.0.0.0", "127.255.255.255"),  # Loopback
    ("169.254.0.0", "169.254.255.255"),  # Link Local
    ("172.16.0.0", "172.31.255.255"),  # Private-Use
    ("192.0.0.0", "192.0.0.255"),  # IETF Protocol Assignments
    ("192.0.2.0", "192.0.2.255"),  # Documentation (TEST-NET-1)
    ("192.88.99.0", "192.88.99.255"),  # Deprecated (6to4 Relay Anycast)
    ("192.168.0.0", "192.168.255.255"),  # Private-Use
    ("198.18.0.0", "198.19.255.255"),  # Benchmarking
    ("198.51.100.0", "198.51.100.255"),  # Documentation (TEST-NET-2)
    ("203.0.113.0", "203.0.113.255"),  # Documentation (TEST-NET-3)
    ("224.0.0.0", "239.255.255.255"),  # Multicast
    ("240.0.0.0", "255.255.255.255"),  # Reserved, Limited Broadcast
    ("::", "::1"),  # Unspecified, Loopback
    ("::127.0.0.1", "::8.8.8.8"),  # IPv4-Compatible, deprecated
    ("::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"),  # IPv4-Translated, never assigned
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),  # IPv4-IPv6 Translation, local use
    ("100::", "100::ffff:ffff:ffff:ffff"),  # Discard-Only
    ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff"),  # Dummy Prefix
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),  # Teredo
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"),  # Benchmarking
    ("2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),  # Deprecated (ORCHID)
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),  # Documentation
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),  # 6to4
    ("2002:7f00:1::", "2002:808:808::1"),  # 6to4 of 127.0.0.1 and of 8.8.8.8
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),  # Documentation
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),  # Segment Routing
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),  # Unique-Local
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),  # Link-Local
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),  # Site-Local, deprecated
    ("ff00::", "ff02::1"),  # Multicast
    ("4000::", "1000::"),  # Unassigned
]
GLOBAL = [
    *("1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.215.14", "223.255.255.255"),
    *("100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255"),
    *("172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0"),
    *("198.17.255.255", "198.20.0.0", "192.31.196.1", "192.52.193.1", "192.175.48.1"),
    *("2001:200::1", "2001:4860:4860::8888", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"),
    *("2620:4f:8000::1", "2003::1", "2a00:1450:4001:80b::200e", "3fff:1000::1"),
]
# IPv4 in another form: what is inside decides.
CARRIERS = ["::ffff:{}", "64:ff9b::{}"]


@pytest.mark.parametrize("address", [one for block in SPECIAL for one in block])
def test_special_addresses_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", GLOBAL)
def test_addresses_of_the_internet_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_an_ipv4_address_inside_of_an_ipv6_address_is_judged(carrier):
    for first, last in SPECIAL:
        if "." in first and ":" not in first:
            assert not is_public(carrier.format(first))
            assert not is_public(carrier.format(last))
    for address in GLOBAL:
        if ":" not in address:
            assert is_public(carrier.format(address))


def test_a_zone_does_not_matter():
    assert not is_public("fe80::1%eth0")
    assert is_public("2a00:1450:4001:80b::200e%1")
