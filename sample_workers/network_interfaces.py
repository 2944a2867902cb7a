"""Teaches a worker without parameters that uses a library only it needs."""

import socket
from typing import Any

from tasky import Context, worker

FAMILIES = {socket.AF_INET: "ipv4", socket.AF_INET6: "ipv6"}


@worker(idempotent=True)
def network_interfaces(ctx: Context) -> list[dict[str, Any]]:
    """List the network interfaces of this server: state, speed and addresses."""
    import psutil

    addresses, states = psutil.net_if_addrs(), psutil.net_if_stats()
    ctx.log.info("%d interfaces", len(states))
    # An interface may come or go between the two calls, so neither list is complete.
    names = sorted(addresses.keys() | states.keys())
    return [_interface(name, addresses.get(name, []), states.get(name)) for name in names]


def _interface(name: str, addresses: list[Any], state: Any) -> dict[str, Any]:
    macs = [item.address for item in addresses if item.family == socket.AF_PACKET]
    return {
        "name": name,
        "up": state.isup if state else None,
        "mtu": state.mtu if state else None,
        "speed_mbit": state.speed or None if state else None,
        "mac": macs[0] if macs else None,
        "addresses": [_address(item) for item in addresses if item.family in FAMILIES],
    }


def _address(item: Any) -> dict[str, Any]:
    return {
        "family": FAMILIES[item.family],
        "address": item.address,
        "netmask": item.netmask,
        "broadcast": item.broadcast,
    }
