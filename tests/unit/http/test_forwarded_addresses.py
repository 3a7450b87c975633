"""From where a request comes behind reverse proxies, and what nobody can make up."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Settings
from gateway.forwarded import client_address
from gateway.stack import to_environment
from telephony.errors import InvalidInput
from tests.unit.http.rig import Client, open_rig
from tests.unit.http.rooms_behind import VIDEO

pytestmark = pytest.mark.unit

TRUSTED = tuple(ip_network(one) for one in ("10.0.0.0/8", "::1", "2001:db8:1::/48"))
FORWARDED = b"x-forwarded-for"


def address(peer: str | None, *lines: str) -> str | None:
    return client_address(peer, [(FORWARDED, line.encode("latin-1")) for line in lines], TRUSTED)


@pytest.mark.parametrize(
    ("peer", "lines", "found"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["192.0.2.7, 10.9.9.9 ,10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", ["192.0.2.7:40001"], "192.0.2.7"),
        ("10.0.0.1", ["[2001:db8::9]:443"], "2001:db8::9"),
        ("10.0.0.1", ["2001:DB8:0::9"], "2001:db8::9"),
        ("10.0.0.1", ["::ffff:192.0.2.7"], "192.0.2.7"),
        ("::ffff:10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("2001:db8:1::5", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("192.0.2.66", ["10.0.0.1"], "192.0.2.66"),
        ("192.0.2.66", ["198.51.100.1, 10.0.0.1"], "192.0.2.66"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.1,"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7\u00e9"], "10.0.0.1"),
        ("not an address", ["192.0.2.7"], "not an address"),
        (None, ["192.0.2.7"], None),
    ],
)
def test_the_rightmost_address_that_is_no_proxys(peer: str | None, lines: list[str], found: str | None):
    assert address(peer, *lines) == found


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_nothing_left_of_what_a_trusted_proxy_wrote_counts(made_up: str):
    assert address("10.0.0.1", f"{made_up}, 192.0.2.7") == "192.0.2.7"
    assert address("192.0.2.66", made_up) == "192.0.2.66"


def test_other_headers_say_nothing():
    headers = [(b"forwarded", b"for=192.0.2.7"), (b"x-real-ip", b"192.0.2.7")]
    assert client_address("10.0.0.1", headers, TRUSTED) == "10.0.0.1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ("127.0.0.1/32", "::1/128")),
        ("none", ()),
        ("10.0.0.0/8, 192.0.2.1,2001:db8::/32", ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32")),
    ],
)
def test_the_setting_survives_being_passed_on(text: str, found: tuple[str, ...]):
    given_ = {"HOME": "/", "PATCHBAY_TRUSTED_PROXIES": text}
    settings = Settings.from_env(given_)
    assert tuple(map(str, settings.trusted_proxies)) == found
    again = Settings.from_env({"HOME": "/"} | to_environment(settings))
    assert again.trusted_proxies == settings.trusted_proxies


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.1,,", "*"])
def test_a_setting_that_cannot_be_meant_is_refused(text: str):
    with pytest.raises(InvalidInput, match="PATCHBAY_TRUSTED_PROXIES"):
        Settings.from_env({"HOME": "/", "PATCHBAY_TRUSTED_PROXIES": text})


async def test_guests_behind_one_proxy_are_told_apart_and_cannot_be_somebody_else(tmp_path: Path):
    path, body = f"{VIDEO}/invites/{'x' * 32}/redeem", {"display_name": "Jo"}
    async with open_rig(tmp_path, environment={"PATCHBAY_TRUSTED_PROXIES": "192.0.2.0/24"}) as rig:

        async def left(peer: str, forwarded: str) -> str:
            answer = await Client(rig.app, None, peer).ask("POST", path, body, {"X-Forwarded-For": forwarded})
            return answer.headers["x-ratelimit-remaining"]

        assert await left("192.0.2.1", "198.51.100.1") == "29"
        assert await left("192.0.2.1", "198.51.100.2") == "29"
        assert await left("192.0.2.2", "198.51.100.1") == "28"
        assert await left("192.0.2.1", "203.0.113.9, 198.51.100.1") == "27"
        for number in range(3):
            assert await left("203.0.113.5", f"198.51.100.{number}") == str(29 - number)
