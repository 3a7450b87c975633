"""Settings of the way into rooms by SIP."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Settings, stored_secret
from gateway.config_room_sip import allowed_from, room_sip_end
from gateway.config_rooms import room_media_ports
from gateway.secret import Secret
from gateway.stack import to_environment
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

HOME = {"HOME": "/home/nobody"}


def settings(**given: str) -> Settings:
    return Settings.from_env(HOME | {f"PATCHBAY_{name}": value for name, value in given.items()})


def never(path: Path) -> Secret:
    raise AssertionError("no secret is made")


def test_without_an_address_nothing_comes_in_by_sip(tmp_path: Path) -> None:
    found = settings()
    assert (found.room_carrier, found.room_sip_host) == ("auto", "")
    assert room_sip_end(found, never, tmp_path) is None


def test_the_bridge_alone_is_a_choice(tmp_path: Path) -> None:
    assert room_sip_end(settings(ROOM_CARRIER="bridge", ROOM_SIP_HOST="127.0.0.1"), never, tmp_path) is None


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        ({}, 2),
        ({"ROOM_WORKERS": "0"}, 1),
        ({"ROOM_SIP_HOST": "127.0.0.1"}, 3),
        ({"ROOM_SIP_HOST": "127.0.0.1", "ROOM_WORKERS": "0"}, 2),
        ({"ROOM_SIP_HOST": "127.0.0.1", "ROOM_CARRIER": "bridge", "ROOM_WORKERS": "8"}, 8),
    ],
)
def test_the_way_in_by_sip_has_a_port_of_its_own(given: dict[str, str], ports: int) -> None:
    assert room_media_ports(settings(**given)) == ports


def test_the_switch_calls_unless_it_is_wanted_otherwise() -> None:
    assert settings(ROOM_SIP_HOST="127.0.0.1").room_sip_way == "in"


def test_a_service_that_calls_need_not_be_told_where_the_switch_calls_from() -> None:
    found = settings(ROOM_SIP_WAY="out", ROOM_SIP_HOST="192.0.2.7", ROOM_SIP_SWITCH="192.0.2.1:5060")
    assert (found.room_sip_way, found.room_sip_allowed) == ("out", ())


def test_passwords_that_are_not_given_are_made_once(tmp_path: Path) -> None:
    found = settings(ROOM_SIP_HOST="127.0.0.1", ROOM_SIP_PORT="5070")
    end = room_sip_end(found, stored_secret, tmp_path)
    assert end is not None
    assert end.place == "127.0.0.1:5070"
    assert end.password.reveal() != end.back_password.reveal()
    assert room_sip_end(found, stored_secret, tmp_path) == end
    assert end.password.reveal() not in repr(end)


def test_passwords_that_are_given_are_used(tmp_path: Path) -> None:
    found = settings(ROOM_SIP_HOST="::1", ROOM_SIP_PASSWORD="p" * 16, ROOM_SIP_BACK_PASSWORD="q" * 16)
    end = room_sip_end(found, never, tmp_path)
    assert end is not None
    assert (end.password.reveal(), end.back_password.reveal()) == ("p" * 16, "q" * 16)


@pytest.mark.parametrize(
    ("given", "networks"),
    [
        ({"ROOM_SIP_HOST": "127.0.0.1"}, ("127.0.0.0/8",)),
        ({"ROOM_SIP_HOST": "::1"}, ("::1/128",)),
        (
            {"ROOM_SIP_HOST": "192.0.2.7", "ROOM_SIP_ALLOWED": "192.0.2.1, 192.0.2.64/26"},
            ("192.0.2.1", "192.0.2.64/26"),
        ),
    ],
)
def test_networks_that_the_service_takes_our_calls_from(
    given: dict[str, str], networks: tuple[str, ...]
) -> None:
    assert allowed_from(settings(**given)) == networks


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"ROOM_CARRIER": "sip"}, "ROOM_SIP_HOST"),
        ({"ROOM_CARRIER": "both"}, "ROOM_CARRIER"),
        ({"ROOM_SIP_HOST": "sip.example.com"}, "ROOM_SIP_HOST"),
        ({"ROOM_SIP_HOST": "127.0.0.1\\n"}, "ROOM_SIP_HOST"),
        ({"ROOM_SIP_HOST": "192.0.2.7"}, "ROOM_SIP_ALLOWED"),
        ({"ROOM_SIP_HOST": "127.0.0.1", "ROOM_SIP_ALLOWED": "everybody"}, "ROOM_SIP_ALLOWED"),
        ({"ROOM_SIP_HOST": "127.0.0.1", "ROOM_WORKERS": "8"}, "ROOM_WORKERS"),
        ({"ROOM_SIP_PORT": "0"}, "ROOM_SIP_PORT"),
        ({"ROOM_SIP_USER": "a b"}, "ROOM_SIP_USER"),
        ({"ROOM_SIP_PASSWORD": "short"}, "ROOM_SIP_PASSWORD"),
        ({"ROOM_SIP_PASSWORD": "with a space in it"}, "ROOM_SIP_PASSWORD"),
        ({"ROOM_SIP_BACK_PASSWORD": 'quote"quote"quote"'}, "ROOM_SIP_BACK_PASSWORD"),
        ({"ROOM_SIP_WAY": "both", "ROOM_SIP_HOST": "127.0.0.1"}, "ROOM_SIP_WAY"),
        ({"ROOM_SIP_WAY": "out", "ROOM_SIP_HOST": "127.0.0.1"}, "ROOM_SIP_SWITCH"),
        ({"ROOM_SIP_WAY": "out", "ROOM_SIP_SWITCH": "127.0.0.1:5060"}, "ROOM_SIP_HOST"),
        ({"ROOM_SIP_SWITCH": "127.0.0.1"}, "ROOM_SIP_SWITCH"),
        ({"ROOM_SIP_SWITCH": "sip:127.0.0.1:5060"}, "ROOM_SIP_SWITCH"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(given: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        settings(**given)
    assert caught.value.field == f"PATCHBAY_{field}"
    assert not any(
        len(value) > 8 and "PASSWORD" in name and value in str(caught.value) for name, value in given.items()
    )


def test_another_process_is_told_all_of_them() -> None:
    found = settings(
        ROOM_CARRIER="sip",
        ROOM_SIP_WAY="out",
        ROOM_SIP_HOST="192.0.2.7",
        ROOM_SIP_USER="somebody",
        ROOM_SIP_PASSWORD="p" * 16,
        ROOM_SIP_BACK_PASSWORD="q" * 16,
        ROOM_SIP_ALLOWED="192.0.2.0/24,198.51.100.1",
        ROOM_SIP_SWITCH="[2001:db8::1]:5060",
        ROOM_SIP_KEEP="0",
    )
    again = Settings.from_env(HOME | to_environment(found))
    for name in (name for name in dir(found) if name.startswith("room_")):
        assert getattr(again, name) == getattr(found, name), name
