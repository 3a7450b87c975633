"""The environment is read once, and every wrong value is named."""

from __future__ import annotations

import stat
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.config import Secret, Settings, ensure_signing_secret, is_loopback, stored_secret
from gateway.stack import to_environment
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

HOME = {"HOME": "/home/somebody"}


def settings(**variables: str) -> Settings:
    return Settings.from_env(HOME | {f"PATCHBAY_{name}": value for name, value in variables.items()})


def test_an_empty_environment_is_enough() -> None:
    found = settings()
    assert found.embedded_switch
    assert found.embedded_redis
    assert found.api_host == "127.0.0.1"
    assert found.runtime_dir == Path("/home/somebody/.cache/patchbay/runtime")
    assert found.database_url == f"sqlite+aiosqlite:///{found.var_dir}/patchbay.db"
    assert found.signing_secret is None
    assert found.unknown_variables == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "eighty"),
        ("API_PORT", "70000"),
        ("API_PORT", "-1"),
        ("API_PORT", "８０"),
        ("API_HOST", "example.org"),
        ("API_HOST", "0.0.0.0"),
        ("AGI_HOST", "192.0.2.1"),
        ("SIP_HOST", "::"),
        ("MAX_CALL_S", "14401"),
        ("DB_SYNCHRONOUS", "OFF"),
        ("DATABASE_URL", "mysql://x"),
        ("REDIS_URL", "http://x"),
        ("PUBLIC_URL", "ftp://x"),
        ("ALLOWED_COUNTRIES", "USA"),
        ("ALLOW_PUBLIC", "perhaps"),
        ("SIGNING_SECRET", "short"),
        ("VAR_DIR", "a\nb"),
        ("RTP_PORT_MAX", "20001"),
        ("LOG_LEVEL", "loud"),
        ("AGENT_CALLS_PER_TENANT", "10001"),
        ("MEDIA_DRIVER", "rtp"),
        ("MEDIA_HOST", "0.0.0.0"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"PATCHBAY_{name} must be") as caught:
        settings(**{name: value})
    assert caught.value.field == f"PATCHBAY_{name}"


def test_public_addresses_need_a_second_word() -> None:
    assert settings(API_HOST="0.0.0.0", ALLOW_PUBLIC="1").api_host == "0.0.0.0"


def test_an_external_switch_needs_all_three_secrets() -> None:
    with pytest.raises(InvalidInput, match="PATCHBAY_AMI_RECORDING_SECRET"):
        settings(AMI_HOST="10.0.0.5", AMI_CONTROL_SECRET="a", AMI_EVENTS_SECRET="b")
    found = settings(
        AMI_HOST="10.0.0.5", AMI_CONTROL_SECRET="a", AMI_EVENTS_SECRET="b", AMI_RECORDING_SECRET="c"
    )
    assert found.ami_logins is not None
    assert found.ami_logins.recording.secret.reveal() == "c"
    assert not found.embedded_switch


_OTHERWISE = {
    "API_HOST": "127.0.0.2",
    "PUBLIC_URL": "https://calls.example.com",
    "DATABASE_URL": "sqlite:////srv/other.db",
    "DB_SYNCHRONOUS": "FULL",
    "REDIS_URL": "redis://127.0.0.3",
    "REDIS_MEMBER": "other",
    "MEDIA_DRIVER": "audiosocket",
    "ALLOWED_COUNTRIES": "AT",
    "LOG_LEVEL": "debug",
    "SIGNING_SECRET": "s" * 40,
}
_NOT_THE_GATEWAYS = {
    "api_key",
    "max_channels",
    "max_load",
    "http_port",
    "rtp_port_min",
    "rtp_port_max",
    "sip_port",
    "livekit_port",
    "livekit_udp_port",
}
"""What the embedded switch and the command line are told, and the gateway is not."""


def test_the_gateway_below_is_told_every_setting_that_concerns_it() -> None:
    """Each given another value than its own, as far as a test can think of one."""
    plain = settings()
    given = dict(_OTHERWISE)
    for one in fields(Settings):
        value = getattr(plain, one.name)
        if isinstance(value, bool):
            given[one.name.upper()] = "0" if value else "1"
        elif isinstance(value, int):
            given[one.name.upper()] = str(value + 3)
    found = settings(**given)
    again = Settings.from_env(HOME | to_environment(found))
    told = {one.name for one in fields(Settings)} - _NOT_THE_GATEWAYS
    assert {name for name in told if getattr(again, name) != getattr(found, name)} == set()
    numbers = {name for name in told if type(getattr(found, name)) is int}
    assert {name for name in numbers if getattr(found, name) == getattr(plain, name)} == set()


def test_secrets_show_neither_in_repr_nor_in_errors() -> None:
    words = ("tell-nobody-" * 4, "user:hidden-word@host", "user:other-word@host")
    found = settings(
        SIGNING_SECRET=words[0], DATABASE_URL=f"postgresql://{words[1]}/d", REDIS_URL=f"redis://{words[2]}"
    )
    for word in words:
        assert word not in repr(found)
    assert found.database_url.startswith("postgresql+asyncpg://")
    with pytest.raises(InvalidInput) as caught:
        settings(REDIS_URL="http://user:hidden-word@host")
    assert "hidden-word" not in str(caught.value)
    assert str(Secret("abc")) == "Secret(•••)"


def test_a_misspelt_variable_is_told() -> None:
    assert settings(API_PROT="80").unknown_variables == ("PATCHBAY_API_PROT",)


def test_every_country_is_said_with_a_star() -> None:
    assert settings(ALLOWED_COUNTRIES="*").allowed_countries is None
    assert settings(ALLOWED_COUNTRIES="de, at").allowed_countries == frozenset({"DE", "AT"})


def test_a_relative_cache_home_is_ignored() -> None:
    found = Settings.from_env(HOME | {"XDG_CACHE_HOME": "somewhere"})
    assert found.runtime_dir.is_relative_to("/home/somebody/.cache")


def test_the_signing_secret_is_made_once_and_private(tmp_path: Path) -> None:
    found = settings(VAR_DIR=str(tmp_path / "var"))
    first = ensure_signing_secret(found)
    assert ensure_signing_secret(found) == first
    place = tmp_path / "var/signing.secret"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert len(first.reveal()) >= 32
    given = settings(SIGNING_SECRET="s" * 40)
    assert ensure_signing_secret(given).reveal() == "s" * 40


def test_a_damaged_secret_file_is_an_error_not_a_weak_secret(tmp_path: Path) -> None:
    (tmp_path / "x.secret").write_text("")
    with pytest.raises(InvalidInput, match="too short"):
        stored_secret(tmp_path / "x.secret")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("x", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_table_in_the_documentation_is_complete() -> None:
    table = (Path(__file__).parents[3] / "docs/operations.md").read_text()
    otherwise = {"AMI_LOGINS", "RUNTIME_DIR", "UNKNOWN_VARIABLES", "ROOM_SERVER"}
    names = {f.name.upper() for f in fields(Settings)} - otherwise
    names |= {"RUNTIME"} | {
        f"AMI_{r}_{w}" for r in ("CONTROL", "RECORDING", "EVENTS") for w in ("USER", "SECRET")
    }
    assert [n for n in sorted(names) if f"`PATCHBAY_{n}`" not in table and f"`…_{n}`" not in table] == []
