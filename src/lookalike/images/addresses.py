"""What is a URL, and which addresses are public, by IANA's registries of special-purpose addresses.

Python's own `is_global` changes between versions, and calls addresses global that embed a private
IPv4 address.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_NOT_PUBLIC_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by customers of one provider
            "127.0.0.0/8",  # this machine
            "169.254.0.0/16",  # link-local, used for cloud metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols, unused
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays, deprecated
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)

# Only this block is allocated: everything else is special, reserved or deprecated.
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols, including Teredo, which embeds IPv4 addresses
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, deprecated, which embeds IPv4 addresses
            "3fff::/20",  # documentation
        ),
    )
)

# Prefixes that embed an IPv4 address: IPv4-mapped (IPv6 sockets) and NAT64 (IPv6-only networks).
# They reach the embedded address.
_CARRYING_4: Final = tuple(map(IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))


def is_public(address: str) -> bool:
    """Whether a numeric IPv4 or IPv6 address is on the public internet."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and any(found in network for network in _CARRYING_4):
        found = IPv4Address(int(found) & 0xFFFFFFFF)
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _NOT_PUBLIC_4)
    return found in _PUBLIC_6 and not any(found in network for network in _NOT_PUBLIC_6)


def is_url(name: str) -> bool:
    """Whether a name is an http or https URL."""
    return name.lower().startswith(("http://", "https://"))
