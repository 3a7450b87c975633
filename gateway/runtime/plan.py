"""The switch plan: which trunks and phones there are, read from one TOML file.

``parse_plan`` is pure: text in, a frozen ``SwitchPlan`` out, or ``InvalidInput`` whose ``field`` is the key
that is wrong (``trunk[0].port``). Every text in a plan fits an alphabet that is safe inside Asterisk's
configuration files.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Literal, cast

from gateway.config import Secret
from telephony.errors import InvalidInput

Transport = Literal["udp", "tcp", "tls"]
Srtp = Literal["off", "preferred", "required"]
CODECS = ("ulaw", "alaw", "g722", "gsm", "opus")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,/?@:#%^-]{1,128}")
_PATH = re.compile(r"/[A-Za-z0-9 _.+@/-]{1,250}")
_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password for SIP digest authentication (RFC 3261 §22)."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Trunk:
    """A carrier connection. Calls from the addresses in ``identify`` enter the context ``from-trunk``."""

    name: str
    host: str
    port: int = 5060
    transport: Transport = "udp"
    identify: tuple[str, ...] = ()
    register: Credentials | None = None
    auth: Credentials | None = None
    srtp: Srtp = "off"
    codecs: tuple[str, ...] = ("ulaw", "alaw")
    max_channels: int = 0
    """Most legs at once over this trunk; 0 means no limit of its own."""
    prefixes: tuple[str, ...] = ()
    """What numbers that go out over this trunk begin with, ``+`` and digits."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A registering softphone or desk phone. Its calls enter the context ``from-phone``."""

    name: str
    password: Secret
    codecs: tuple[str, ...] = ("ulaw", "alaw")
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class SipPlan:
    """Listening for SIP. Port 0 means: the port from the settings."""

    udp_port: int = 0
    tcp: bool = True
    tls_port: int = 0
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    """Whose certificates we believe when we connect to a trunk; empty means the machine's list."""
    external_address: str = ""
    """Our address as the outside sees it, where the machine is behind NAT; empty where it is not."""
    local_nets: tuple[str, ...] = ()
    texts: bool = False
    """Whether SIP MESSAGE is taken and sent. It costs each call a little: see asterisk-config/README.md."""
    phones_from: tuple[str, ...] = ()
    """Networks phones may register from; empty means from anywhere. Others get a refusal at the door."""


@dataclass(frozen=True, slots=True)
class RtpPlan:
    """Media ports and the dead-call reaper. Port 0 means: the range from the settings."""

    port_min: int = 0
    port_max: int = 0
    timeout_s: int = 60
    """A call with no audio for this long is ended; 0 switches the reaper off."""
    hold_timeout_s: int = 600


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """Everything the switch is told about the outside."""

    trunks: tuple[Trunk, ...] = ()
    phones: tuple[Phone, ...] = ()
    sip: SipPlan = field(default_factory=SipPlan)
    rtp: RtpPlan = field(default_factory=RtpPlan)


def demo_plan(password_of: Mapping[str, Secret], *, trunk_port: int = 5060) -> SwitchPlan:
    """The plan where no file is given: a trunk ``carrier`` at 127.0.0.2, phones ``alice`` and ``bob``."""
    carrier = Trunk("carrier", "127.0.0.2", trunk_port, identify=("127.0.0.2",))
    return SwitchPlan(
        trunks=(carrier,), phones=tuple(Phone(name, password_of[name]) for name in ("alice", "bob"))
    )


def parse_plan(text: str) -> SwitchPlan:
    """Read a plan. Raises ``InvalidInput`` naming the key and the rule."""
    try:
        table = _Table("", tomllib.loads(text))
    except tomllib.TOMLDecodeError as failure:
        raise InvalidInput(f"the trunks file is not TOML: {failure}", field="trunks_file") from None
    sip, rtp = _sip(table.table("sip")), _rtp(table.table("rtp"))
    trunks = tuple(_trunk(t) for t in table.tables("trunk"))
    phones = tuple(_phone(t) for t in table.tables("phone"))
    table.done()
    plan = SwitchPlan(trunks, phones, sip, rtp)
    _check_together(plan)
    return plan


def _trunk(t: _Table) -> Trunk:
    host = t.text("host", _HOST, "a host name or IP address", required=True)
    trunk = Trunk(
        name=t.text("name", _NAME, "lower-case letters, digits and -, at most 31", required=True),
        host=host,
        port=t.integer("port", 5_060, 1, 65_535),
        transport=cast(Transport, t.choice("transport", ("udp", "tcp", "tls"))),
        identify=t.networks("identify"),
        register=_credentials(t.table("register")),
        auth=_credentials(t.table("auth")),
        srtp=cast(Srtp, t.choice("srtp", ("off", "preferred", "required"))),
        codecs=t.codecs(),
        max_channels=t.integer("max_channels", 0, 0, 100_000),
        prefixes=t.prefixes(),
    )
    t.choice("context", ("from-trunk",))
    t.done()
    return trunk


def _phone(t: _Table) -> Phone:
    phone = Phone(
        name=t.text("name", _NAME, "lower-case letters, digits and -, at most 31", required=True),
        password=Secret(t.text("password", _WORD, "12 to 128 characters, no space", True, secret=True)),
        codecs=t.codecs(),
        tenant=t.text("tenant", _TENANT, "a tenant id"),
    )
    if len(phone.password.reveal()) < 12:
        raise t.refuse("password", "12 to 128 characters, no space")
    t.choice("context", ("from-phone",))
    t.done()
    return phone


def _credentials(t: _Table | None) -> Credentials | None:
    if t is None:
        return None
    user = t.text("user", _WORD, "a user name", required=True)
    password = t.text("password", _WORD, "a password of at most 128 characters, no space", True, secret=True)
    t.done()
    return Credentials(user, Secret(password))


def _sip(t: _Table | None) -> SipPlan:
    if t is None:
        return SipPlan()
    plan = SipPlan(
        udp_port=t.integer("udp_port", 0, 1, 65_535),
        tcp=t.flag("tcp", True),
        tls_port=t.integer("tls_port", 0, 1, 65_535),
        tls_cert=t.text("tls_cert", _PATH, "the absolute path of a PEM file"),
        tls_key=t.text("tls_key", _PATH, "the absolute path of a PEM file"),
        tls_ca=t.text("tls_ca", _PATH, "the absolute path of a PEM file"),
        external_address=t.text("external_address", _HOST, "a host name or IP address"),
        local_nets=t.networks("local_nets"),
        texts=t.flag("texts", False),
        phones_from=t.networks("phones_from"),
    )
    if plan.tls_port and not (plan.tls_cert and plan.tls_key):
        raise t.refuse("tls_cert", "given, with tls_key, when tls_port is")
    t.done()
    return plan


def _rtp(t: _Table | None) -> RtpPlan:
    if t is None:
        return RtpPlan()
    low = t.integer("port_min", 0, 1_024, 65_532)
    plan = RtpPlan(
        port_min=low,
        port_max=t.integer("port_max", 0, low + 3, 65_535),
        timeout_s=t.integer("timeout_s", 60, 0, 3_600),
        hold_timeout_s=t.integer("hold_timeout_s", 600, 0, 86_400),
    )
    if bool(plan.port_min) != bool(plan.port_max):
        raise t.refuse("port_max", "given together with port_min")
    t.done()
    return plan


def _check_together(plan: SwitchPlan) -> None:
    seen: set[str] = set()
    named = [(f"trunk[{i}]", t.name) for i, t in enumerate(plan.trunks)]
    named += [(f"phone[{i}]", p.name) for i, p in enumerate(plan.phones)]
    for where, name in named:
        if name in seen:
            raise _refusal(f"{where}.name", "a name not used by another trunk or phone", name)
        seen.add(name)
    addresses: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for i, trunk in enumerate(plan.trunks):
        for address in trunk.identify:
            if addresses.setdefault(address, trunk.name) != trunk.name:
                other = addresses[address]
                raise _refusal(f"trunk[{i}].identify", f"an address not used by trunk {other}", address)
        for prefix in trunk.prefixes:
            if prefixes.setdefault(prefix, trunk.name) != trunk.name:
                other = prefixes[prefix]
                raise _refusal(f"trunk[{i}].prefixes", f"a prefix not used by trunk {other}", prefix)
        if trunk.transport == "tls" and not plan.sip.tls_port:
            raise _refusal(f"trunk[{i}].transport", "udp or tcp, or sip.tls_port given", "tls")
        if trunk.transport == "tcp" and not plan.sip.tcp:
            raise _refusal(f"trunk[{i}].transport", "udp, or sip.tcp = true", "tcp")
        if not trunk.identify and trunk.register is None:
            raise _refusal(f"trunk[{i}].identify", "the carrier's addresses, or a register table")


class _Table:
    """One TOML table whose keys are taken one by one; a key nobody took is an error."""

    def __init__(self, where: str, values: Mapping[str, object]) -> None:
        self._where = where
        self._left = dict(values)

    def refuse(self, key: str, expected: str, value: object = None) -> InvalidInput:
        return _refusal(f"{self._where}.{key}".lstrip("."), expected, value)

    def text(
        self, key: str, rule: re.Pattern[str], expected: str, required: bool = False, *, secret: bool = False
    ) -> str:
        value = self._left.pop(key, None)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or rule.fullmatch(value) is None:
            raise self.refuse(key, expected, None if secret else value)
        return value

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        value = self._left.pop(key, default)
        if value == default and type(value) is int:
            return default
        if type(value) is not int or not low <= value <= high:
            raise self.refuse(key, f"a whole number from {low} to {high}", value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._left.pop(key, default)
        if not isinstance(value, bool):
            raise self.refuse(key, "true or false", value)
        return value

    def choice(self, key: str, options: Sequence[str]) -> str:
        value = self._left.pop(key, options[0])
        if value not in options:
            raise self.refuse(key, "one of " + ", ".join(options), value)
        return str(value)

    def texts(self, key: str) -> tuple[str, ...] | None:
        value = self._left.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise self.refuse(key, "a list of texts", value)
        return tuple(value)

    def networks(self, key: str) -> tuple[str, ...]:
        found = self.texts(key) or ()
        for address in found:
            try:
                width = ip_network(address, strict=False).prefixlen
            except ValueError:
                raise self.refuse(key, "IP addresses or networks", address) from None
            if width == 0:
                raise self.refuse(key, "addresses of the carrier, not of everybody", address)
        return found

    def prefixes(self) -> tuple[str, ...]:
        found = self.texts("prefixes") or ()
        for prefix in found:
            if _PREFIX.fullmatch(prefix) is None:
                raise self.refuse("prefixes", "+ and the first digits of numbers", prefix)
        return found

    def codecs(self) -> tuple[str, ...]:
        found = self.texts("codecs")
        if found is None:
            return ("ulaw", "alaw")
        if not found or len(set(found)) != len(found) or not set(found) <= set(CODECS):
            raise self.refuse("codecs", "some of " + ", ".join(CODECS), list(found))
        return found

    def table(self, key: str) -> _Table | None:
        value = self._left.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.refuse(key, "a table", value)
        return _Table(f"{self._where}.{key}".lstrip("."), value)

    def tables(self, key: str) -> list[_Table]:
        value = self._left.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
            raise self.refuse(key, f"tables, each begun by [[{key}]]", value)
        return [_Table(f"{key}[{i}]", part) for i, part in enumerate(value)]

    def done(self) -> None:
        if self._left:
            raise self.refuse(min(self._left), "removed: there is no such key here")


def _refusal(where: str, expected: str, value: object = None) -> InvalidInput:
    shown = "" if value is None else f" (is {value!r})"
    return InvalidInput(
        f"trunks file: {where} must be {expected}{shown}", field=where, value=value, expected=expected
    )
