"""Settings of the API's outer edge: which reverse proxies are believed.

A part of ``gateway.config.Settings``, which reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Protocol, TypedDict

from gateway.forwarded import Networks
from telephony.errors import InvalidInput

NOBODY: Final = "none"
_USUAL: Final = "127.0.0.1,::1"
_NAME: Final = "PATCHBAY_TRUSTED_PROXIES"
_EXPECTED: Final = "IP addresses or networks joined by commas, or none"


class Variables(Protocol):
    """The environment's reader, as far as it is needed here."""

    def text(self, name: str, default: str) -> str: ...


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """``trusted_proxies``: from these networks X-Forwarded-For is believed."""

    trusted_proxies: Networks


class EdgeFields(TypedDict):
    trusted_proxies: Networks


def edge_fields(env: Variables) -> EdgeFields:
    """The fields of ``EdgeSettings``. Raises InvalidInput; a network that holds every address is none."""
    given = env.text("TRUSTED_PROXIES", _USUAL)
    if given.lower() == NOBODY:
        return EdgeFields(trusted_proxies=())
    try:
        networks = tuple(ip_network(part.strip()) for part in given.split(","))
    except ValueError:
        raise InvalidInput(f"{_NAME} must be {_EXPECTED}", field=_NAME, expected=_EXPECTED) from None
    if any(network.prefixlen == 0 for network in networks):
        raise InvalidInput(f"{_NAME} must not be everybody", field=_NAME, expected=_EXPECTED)
    return EdgeFields(trusted_proxies=networks)


def edge_variables(settings: EdgeSettings) -> dict[str, str]:
    """These settings as the variables, without their prefix, that make them again."""
    return {"trusted_proxies": ",".join(map(str, settings.trusted_proxies)) or NOBODY}
