"""Settings: every environment variable the product knows, read once, checked at the door.

``Settings.from_env`` is the only reader of the environment. Each field ``some_name`` comes from
``PATCHBAY_SOME_NAME`` (``runtime_dir`` from ``PATCHBAY_RUNTIME``); docs/operations.md has the table.
A value that breaks its rule raises ``InvalidInput`` whose ``field`` is the variable's name; the text of
a secret is never part of the message.
"""

from __future__ import annotations

import os
import pwd
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypedDict
from urllib.parse import urlsplit

from gateway.config_agents import agent_fields
from gateway.config_rooms import RoomSettings, room_fields
from gateway.secret import Secret as Secret
from telephony.errors import InvalidInput

PREFIX = "PATCHBAY_"
MAX_CALL_CAP_S = 14_400
"""No call lives longer than this, whatever a request asks for (seconds)."""
LOG_LEVELS = ("debug", "info", "warning", "error")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class AmiLogin:
    """One AMI user of the switch: name and secret."""

    user: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class AmiLogins:
    """The three AMI users: ``control`` gives orders, ``recording`` records, ``events`` only listens."""

    control: AmiLogin
    recording: AmiLogin
    events: AmiLogin


@dataclass(frozen=True, slots=True)
class Settings(RoomSettings):
    """Everything that can be configured from outside. Durations in seconds unless the name says else."""

    var_dir: Path
    runtime_dir: Path
    asterisk_bin: Path | None
    redis_server_bin: Path | None
    sipp_bin: Path | None
    espeak_ng_bin: Path | None
    api_host: str
    api_port: int
    public_url: str
    api_key: Secret | None
    allow_public: bool
    database_url: str = field(repr=False)
    db_synchronous: Literal["NORMAL", "FULL"]
    redis_url: str = field(repr=False)
    redis_member: str
    masking_switch_copy: bool
    carriers_file: Path | None
    ami_host: str
    ami_port: int
    ami_logins: AmiLogins | None
    agi_host: str
    agi_port: int
    sip_host: str
    sip_port: int
    rtp_port_min: int
    rtp_port_max: int
    http_port: int
    trunks_file: Path | None
    recordings_dir: Path
    sounds_dir: Path
    switch_records_file: Path | None
    webhook_allow_private: bool
    signing_secret: Secret | None
    recording_url_ttl_s: int
    ring_timeout_default_s: int
    max_call_s: int
    route_budget_ms: int
    max_channels: int
    max_load: int
    allowed_countries: frozenset[str] | None
    api_rate_per_minute: int
    call_rate_per_minute: int
    max_concurrent_calls: int
    daily_minutes_cap: int
    log_level: str
    unknown_variables: tuple[str, ...]

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check the settings; raises ``InvalidInput`` naming the variable that is wrong.

        Makes no file and no connection. ``unknown_variables`` lists PATCHBAY_… names that mean nothing.
        """
        env = _Reader(environ)
        var_dir = env.path("VAR_DIR", Path("var"))
        allow_public = env.flag("ALLOW_PUBLIC", False)
        api_host = env.bind("API_HOST", allow_public)
        api_port = env.integer("API_PORT", 8088, 0, 65_535)
        ami_host = env.text("AMI_HOST", "")
        rtp_port_min = env.integer("RTP_PORT_MIN", 20_000, 1_024, 65_532)
        rtp_last = min(rtp_port_min + 3_999, 65_535)
        return cls(
            var_dir=var_dir,
            runtime_dir=env.path("RUNTIME", _cache_dir(environ) / "patchbay" / "runtime"),
            **_programs(env),
            api_host=api_host,
            api_port=api_port,
            public_url=env.url("PUBLIC_URL", ("http", "https"), f"http://{_in_url(api_host)}:{api_port}"),
            api_key=env.secret("API_KEY", 1),
            allow_public=allow_public,
            database_url=_database_url(env, var_dir),
            db_synchronous="FULL" if env.choice("DB_SYNCHRONOUS", ("NORMAL", "FULL")) == "FULL" else "NORMAL",
            redis_url=env.url("REDIS_URL", ("redis", "rediss", "unix"), ""),
            **_masking(env),
            **agent_fields(env, allow_public),
            **room_fields(env, environ),
            ami_host=ami_host,
            ami_port=env.integer("AMI_PORT", 5_038, 1, 65_535),
            ami_logins=_ami_logins(env, required=bool(ami_host)),
            agi_host=env.bind("AGI_HOST", allow_public),
            agi_port=env.integer("AGI_PORT", 4_573, 1, 65_535),
            sip_host=env.bind("SIP_HOST", allow_public),
            sip_port=env.integer("SIP_PORT", 5_060, 1, 65_535),
            rtp_port_min=rtp_port_min,
            rtp_port_max=env.integer("RTP_PORT_MAX", rtp_last, rtp_port_min + 3, 65_535),
            http_port=env.integer("HTTP_PORT", 0, 0, 65_535),
            trunks_file=env.optional_path("TRUNKS_FILE"),
            recordings_dir=env.path("RECORDINGS_DIR", var_dir / "recordings"),
            sounds_dir=env.path("SOUNDS_DIR", var_dir / "sounds"),
            switch_records_file=env.optional_path("SWITCH_RECORDS_FILE"),
            webhook_allow_private=env.flag("WEBHOOK_ALLOW_PRIVATE", False),
            signing_secret=env.secret("SIGNING_SECRET", 32),
            allowed_countries=_countries(env),
            log_level=env.choice("LOG_LEVEL", ("info", *(x for x in LOG_LEVELS if x != "info"))),
            **_limits(env),
            unknown_variables=env.unknown(),  # last: it tells what nobody took
        )

    @property
    def embedded_switch(self) -> bool:
        """Whether we start Asterisk ourselves (no PATCHBAY_AMI_HOST given)."""
        return not self.ami_host

    @property
    def embedded_redis(self) -> bool:
        """Whether we start Redis ourselves (no PATCHBAY_REDIS_URL given)."""
        return not self.redis_url

    @property
    def embedded_livekit(self) -> bool:
        """Whether we start a LiveKit server ourselves, where the program can be had."""
        return self.room_server is None and self.livekit != "off"


def current_settings() -> Settings:
    """The settings of this process's environment."""
    return Settings.from_env(os.environ)


def ensure_signing_secret(settings: Settings) -> Secret:
    """The secret that signs recording addresses: the configured one, else one made once for this install.

    The made one lives in ``var_dir/signing.secret`` with mode 0600; there is no default value.
    """
    if settings.signing_secret is not None:
        return settings.signing_secret
    return stored_secret(settings.var_dir / "signing.secret")


def stored_secret(path: Path) -> Secret:
    """Read the secret in ``path``, or make one there first (mode 0600, safe against two starters)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another starter was first: its secret holds
        finally:
            fresh.unlink()
    text = path.read_text().strip()
    if len(text) < 32:
        raise InvalidInput(f"{path}: too short to be a secret; remove it to have one made", field=path.name)
    return Secret(text)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Reader:
    """Takes variables out of an environment, each with its rule."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._given = {k[len(PREFIX) :]: v.strip() for k, v in environ.items() if k.startswith(PREFIX)}
        self._known: set[str] = set()

    def _take(self, name: str) -> str:
        self._known.add(name)
        value = self._given.get(name, "")
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise refuse(name, "text without control characters")
        return value

    def text(self, name: str, default: str) -> str:
        return self._take(name) or default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        given = self._take(name)
        expected = f"a whole number from {low} to {high}"
        if not given:
            return default
        if not (given.isascii() and given.isdigit()) or not low <= int(given) <= high:
            raise refuse(name, expected, given)
        return int(given)

    def flag(self, name: str, default: bool) -> bool:
        given = self._take(name).lower()
        if given and given not in _TRUE + _FALSE:
            raise refuse(name, "1 or 0", given)
        return given in _TRUE if given else default

    def choice(self, name: str, options: tuple[str, ...]) -> str:
        given = self._take(name)
        for option in options:
            if option.lower() == given.lower():
                return option
        if given:
            raise refuse(name, "one of " + ", ".join(options), given)
        return options[0]

    def path(self, name: str, default: Path) -> Path:
        return self.optional_path(name) or default.absolute()

    def optional_path(self, name: str) -> Path | None:
        given = self._take(name)
        return Path(given).absolute() if given else None

    def url(self, name: str, schemes: tuple[str, ...], default: str) -> str:
        given = self._take(name)
        if given and urlsplit(given).scheme not in schemes:
            raise refuse(name, "an address starting with " + " or ".join(f"{s}://" for s in schemes))
        return given.rstrip("/") if given else default

    def bind(self, name: str, allow_public: bool) -> str:
        given = self._take(name) or "127.0.0.1"
        try:
            ip_address("127.0.0.1" if given == "localhost" else given)
        except ValueError:
            raise refuse(name, "an IP address to listen on", given) from None
        if not allow_public and not is_loopback(given):
            raise refuse(name, "a loopback address, or PATCHBAY_ALLOW_PUBLIC=1 beside it", given)
        return given

    def secret(self, name: str, at_least: int) -> Secret | None:
        given = self._take(name)
        if given and len(given) < at_least:
            raise refuse(name, f"at least {at_least} characters")
        return Secret(given) if given else None

    def unknown(self) -> tuple[str, ...]:
        return tuple(sorted(PREFIX + name for name in self._given.keys() - self._known))


def refuse(name: str, expected: str, value: str | None = None) -> InvalidInput:
    """The error for a bad variable; leave ``value`` out where it may hold a secret."""
    shown = "" if value is None else f" (is {value!r})"
    return InvalidInput(
        f"{PREFIX}{name} must be {expected}{shown}", field=PREFIX + name, value=value, expected=expected
    )


def _cache_dir(environ: Mapping[str, str]) -> Path:
    given = environ.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):
        return Path(given)  # the XDG specification: a relative path is to be ignored
    return Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir) / ".cache"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _database_url(env: _Reader, var_dir: Path) -> str:
    schemes = ("postgresql+asyncpg", "postgresql", "sqlite+aiosqlite", "sqlite")
    given = env.url("DATABASE_URL", schemes, f"sqlite+aiosqlite:///{var_dir / 'patchbay.db'}")
    scheme, rest = given.split("://", 1)
    driver = "postgresql+asyncpg" if scheme.startswith("postgresql") else "sqlite+aiosqlite"
    return f"{driver}://{rest}"


def _ami_logins(env: _Reader, *, required: bool) -> AmiLogins | None:
    """The users of an external switch; with an embedded one they are made per install, so none here."""

    def login(role: str) -> AmiLogin:
        user = env.text(f"AMI_{role.upper()}_USER", f"patchbay-{role}")
        secret = env.secret(f"AMI_{role.upper()}_SECRET", 1)
        if required and secret is None:
            raise refuse(f"AMI_{role.upper()}_SECRET", "set when PATCHBAY_AMI_HOST is")
        return AmiLogin(user, secret or Secret(""))

    logins = AmiLogins(login("control"), login("recording"), login("events"))
    return logins if required else None


class _LimitFields(TypedDict):
    recording_url_ttl_s: int
    ring_timeout_default_s: int
    max_call_s: int
    route_budget_ms: int
    max_channels: int
    max_load: int
    api_rate_per_minute: int
    call_rate_per_minute: int
    max_concurrent_calls: int
    daily_minutes_cap: int


def _limits(env: _Reader) -> _LimitFields:
    """Durations, budgets and counts, each with its range."""
    return _LimitFields(
        recording_url_ttl_s=env.integer("RECORDING_URL_TTL_S", 900, 10, 604_800),
        ring_timeout_default_s=env.integer("RING_TIMEOUT_DEFAULT_S", 60, 5, 300),
        max_call_s=env.integer("MAX_CALL_S", 3_600, 10, MAX_CALL_CAP_S),
        route_budget_ms=env.integer("ROUTE_BUDGET_MS", 1_000, 50, 5_000),
        max_channels=env.integer("MAX_CHANNELS", 2_000, 2, 20_000),
        max_load=env.integer("MAX_LOAD", 0, 0, 10_000),
        api_rate_per_minute=env.integer("API_RATE_PER_MINUTE", 600, 1, 1_000_000),
        call_rate_per_minute=env.integer("CALL_RATE_PER_MINUTE", 60, 1, 1_000_000),
        max_concurrent_calls=env.integer("MAX_CONCURRENT_CALLS", 100, 1, 10_000),
        daily_minutes_cap=env.integer("DAILY_MINUTES_CAP", 10_000, 1, 10_000_000),
    )


def _countries(env: _Reader) -> frozenset[str] | None:
    """ISO 3166 two-letter codes calls may go to; ``*`` means every country, given as None."""
    given = env.text("ALLOWED_COUNTRIES", "US,CA,GB").upper()
    if given == "*":
        return None
    codes = frozenset(part.strip() for part in given.split(","))
    if any(len(code) != 2 or not code.isascii() or not code.isalpha() for code in codes):
        raise refuse("ALLOWED_COUNTRIES", "two-letter codes joined by commas, or *", given)
    return codes


class _ProgramFields(TypedDict):
    asterisk_bin: Path | None
    redis_server_bin: Path | None
    sipp_bin: Path | None
    espeak_ng_bin: Path | None


def _programs(env: _Reader) -> _ProgramFields:
    """Programs to use instead of those found."""
    return _ProgramFields(
        asterisk_bin=env.optional_path("ASTERISK_BIN"),
        redis_server_bin=env.optional_path("REDIS_SERVER_BIN"),
        sipp_bin=env.optional_path("SIPP_BIN"),
        espeak_ng_bin=env.optional_path("ESPEAK_NG_BIN"),
    )


class _MaskingFields(TypedDict):
    redis_member: str
    masking_switch_copy: bool
    carriers_file: Path | None


def _masking(env: _Reader) -> _MaskingFields:
    """Number masking: our name among those who share a Redis, the copy in the switch, carriers for texts."""
    return _MaskingFields(
        redis_member=env.text("REDIS_MEMBER", "gateway"),
        masking_switch_copy=env.flag("MASKING_SWITCH_COPY", True),
        carriers_file=env.optional_path("CARRIERS_FILE"),
    )
