"""Terms and settings as JSON and back: what a request may say of them, and how they are stored.

Both are written as the difference from what this release's ``Terms()`` and ``ServiceSettings()`` say, so a
stored row is small. A changed default of those classes changes stored rows too, and needs a migration.
Reading is strict: a name or a value that is not known is refused, naming the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, TypeVar

from proxy_pool.core.number import Geo
from proxy_pool.core.session import (
    Channel,
    Flow,
    Numbers,
    OnExpiry,
    PinMode,
    Redaction,
    Sticky,
    Terms,
)
from proxy_pool.core.settings import ServiceSettings, TextAnswers, UnknownCallers
from telephony.errors import InvalidInput
from telephony.evolve import replace
from telephony.numbers import E164

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Rule = Callable[[object, str], object]
"""Reads a JSON value; the text is the field's name, for InvalidInput."""
S = TypeVar("S", Terms, UnknownCallers, TextAnswers)

DAY_S: Final = 86_400
LONGEST_NOTICE_S: Final = 3600
"""The keeper looks this far ahead for sessions whose end is to be told."""
_SOUND = re.compile(r"(?=.{1,160}$)[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
_URL = re.compile(r"https?://[!-~]{1,2040}")
_LATEST: Final = 253_402_300_800.0
"""The year 10000, which no ISO date tells."""
_LONGEST_ANSWER: Final = 480


def _refuse(field: str, value: object, expected: str) -> InvalidInput:
    told = value if isinstance(value, (bool, int, float)) else None  # a text may hold somebody's number
    return InvalidInput(f"{field} must be {expected}", field=field, value=told, expected=expected)


def _one_of(kind: type[StrEnum]) -> Rule:
    known = {one.value: one for one in kind}

    def read(value: object, field: str) -> object:
        if isinstance(value, str) and value in known:
            return known[value]
        raise _refuse(field, value, "one of " + ", ".join(known))

    return read


def _whole(low: int, high: int, *, or_zero: bool = False) -> Rule:
    expected = f"a whole number from {low} to {high}" + (", or 0" if or_zero else "")

    def read(value: object, field: str) -> object:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and (low <= value <= high or (or_zero and value == 0)):  # type: ignore[operator]
            return value
        raise _refuse(field, value, expected)

    return read


def _number(low: float, high: float) -> Rule:
    def read(value: object, field: str) -> object:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise _refuse(field, value, f"a number from {low:g} to {high:g}")

    return read


def _flag(value: object, field: str) -> object:
    if isinstance(value, bool):
        return value
    raise _refuse(field, value, "true or false")


def _matching(pattern: re.Pattern[str], expected: str) -> Rule:
    def read(value: object, field: str) -> object:
        if isinstance(value, str) and (not value or pattern.fullmatch(value) is not None):
            return value
        raise _refuse(field, value, expected)

    return read


def _answer(value: object, field: str) -> object:
    if isinstance(value, str) and len(value) <= _LONGEST_ANSWER and value.replace("\n", " ").isprintable():
        return value
    raise _refuse(field, value, f"a text of at most {_LONGEST_ANSWER} printable characters")


def _channels(value: object, field: str) -> object:
    known = {one.value: one for one in Channel}
    several = list(value) if isinstance(value, (list, tuple, set, frozenset)) else []
    if several and all(isinstance(one, str) and one in known for one in several):
        return frozenset(known[one] for one in several)
    raise _refuse(field, value, "a list of one or more of " + ", ".join(known))


def _moment(value: object, field: str) -> object:
    """Epoch seconds, or ISO 8601 with a zone; None and 0 are no moment."""
    if value is None:
        return 0.0
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return moment.timestamp()
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LATEST:
        return float(value)
    raise _refuse(field, value, "a time in ISO 8601 with its zone, or seconds since 1970")


def _e164(value: object, field: str) -> object:
    if value is None or isinstance(value, E164):
        return value
    try:
        return E164(value)  # type: ignore[arg-type] # why: what is no text fails in the pattern
    except (InvalidInput, TypeError):
        raise _refuse(field, None, "a number in E.164 form, or null") from None


_SOUND_NAME = _matching(_SOUND, "the name of a sound, or empty")
_HOOK_URL = _matching(_URL, "an http or https URL, or empty")

TERMS: Final[Mapping[str, Rule]] = {
    "channels": _channels,
    "numbers": _one_of(Numbers),
    "expires_at": _moment,
    "ttl_s": _whole(60, 90 * DAY_S, or_zero=True),
    "max_lifetime_s": _whole(60, 365 * DAY_S),
    "on_expiry": _one_of(OnExpiry),
    "warn_s": _whole(5, 300),
    "call_limit_s": _whole(10, 14_400),
    "warn_before_limit": _flag,
    "flow": _one_of(Flow),
    "record": _flag,
    "announce_a": _SOUND_NAME,
    "announce_b": _SOUND_NAME,
    "ring_timeout_s": _whole(5, 120),
    "pin_mode": _one_of(PinMode),
    "pin_length": _whole(4, 10),
    "quarantine_s": _whole(0, 90 * DAY_S),
    "sticky": _one_of(Sticky),
    "redaction": _one_of(Redaction),
}
"""The rule of each field of ``Terms``."""
_PLAIN: Final = Terms()
UNKNOWN: Final[Mapping[str, Rule]] = {
    "intercept_url": _HOOK_URL,
    "ask_pin": _flag,
    "callback_url": _HOOK_URL,
    "fallback": _e164,
    "announcement": _SOUND_NAME,
    "fail_open": _flag,
    "hook_timeout_s": _number(0.5, 10.0),
    "pin_attempts_per_caller": _whole(1, 100),
    "pin_attempts_per_number": _whole(1, 10_000),
    "pin_window_s": _whole(60, DAY_S),
    "calls_per_caller": _whole(1, 10_000),
}
ANSWERS: Final[Mapping[str, Rule]] = {"stop": _answer, "help": _answer, "start": _answer}
_SERVICE: Final[Mapping[str, Rule]] = {
    "geo": _one_of(Geo),
    "expiring_notice_s": _whole(10, LONGEST_NOTICE_S, or_zero=True),
    "keep_bodies": _flag,
}
_NEVER_A_DEFAULT: Final = "expires_at"


def terms_from(defaults: Terms, said: Mapping[str, object], *, prefix: str = "") -> Terms:
    """``defaults`` with what was ``said``, by field names, as JSON values (or as the fields' own types).

    Raises InvalidInput, whose ``field`` is the name behind ``prefix`` (``terms.ttl_s``). Whether
    ``expires_at`` has passed already is the caller's to judge.
    """
    return _merged(defaults, said, TERMS, prefix)


def terms_json(terms: Terms) -> dict[str, Json]:
    """What of these terms differs from ``Terms()``; ``terms_from(Terms(), …)`` reads it."""
    return _difference(terms, _PLAIN)


def all_terms(terms: Terms) -> dict[str, Json]:
    """Every term by name, as JSON values."""
    return {one.name: _plain(getattr(terms, one.name)) for one in fields(terms)}


def settings_from(said: Mapping[str, object], defaults: ServiceSettings | None = None) -> ServiceSettings:
    """``defaults`` (this release's where none are given) with what was ``said``; the parts ``terms``,
    ``unknown`` and ``answers`` are objects.

    Raises InvalidInput, whose ``field`` is a path like ``unknown.fail_open``. A service's terms have no
    ``expires_at``: that is a session's own.
    """
    found = defaults or ServiceSettings()
    parts = {"terms", "unknown", "answers"}
    plain = {name: value for name, value in said.items() if name not in parts}
    read = _read(plain, _SERVICE, "", also=parts)
    said_terms = _part(said, "terms")
    if _NEVER_A_DEFAULT in said_terms:
        raise InvalidInput(
            "expires_at is said per session, never for all",
            field=f"terms.{_NEVER_A_DEFAULT}",
            expected="ttl_s or max_lifetime_s",
        )
    return replace(
        found,
        terms=_merged(found.terms, said_terms, TERMS, "terms."),
        unknown=_merged(found.unknown, _part(said, "unknown"), UNKNOWN, "unknown."),
        answers=_merged(found.answers, _part(said, "answers"), ANSWERS, "answers."),
        **read,
    )


def settings_json(settings: ServiceSettings) -> dict[str, Json]:
    """What of these settings differs from ``ServiceSettings()``; ``settings_from`` reads it."""
    plain = ServiceSettings()
    parts = {
        "terms": _difference(settings.terms, plain.terms),
        "unknown": _difference(settings.unknown, plain.unknown),
        "answers": _difference(settings.answers, plain.answers),
    }
    own: dict[str, Json] = {
        name: _plain(value) for name in _SERVICE if (value := getattr(settings, name)) != getattr(plain, name)
    }
    return own | {name: part for name, part in parts.items() if part}


def all_settings(settings: ServiceSettings) -> dict[str, Json]:
    """Every setting by name, in the form that ``settings_from`` reads."""
    terms = all_terms(settings.terms)
    del terms[_NEVER_A_DEFAULT]
    return {
        "terms": terms,
        "unknown": {name: _plain(getattr(settings.unknown, name)) for name in UNKNOWN},
        "answers": {name: getattr(settings.answers, name) for name in ANSWERS},
        **{name: _plain(getattr(settings, name)) for name in _SERVICE},
    }


def _part(said: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = said.get(name)
    if part is None:
        return {}
    if not isinstance(part, Mapping):
        raise _refuse(name, None, "an object")
    return part


def _merged(defaults: S, said: Mapping[str, object], rules: Mapping[str, Rule], prefix: str) -> S:
    return replace(defaults, **_read(said, rules, prefix)) if said else defaults


def _read(
    said: Mapping[str, object], rules: Mapping[str, Rule], prefix: str, also: Iterable[str] = ()
) -> dict[str, Any]:
    read = {}
    for name, value in said.items():
        rule = rules.get(name)
        if rule is None:
            field = f"{prefix}{name}"[:80]
            expected = "one of " + ", ".join([*rules, *also])
            raise InvalidInput(f"there is no {field!r}", field=field, expected=expected)
        read[name] = rule(value, prefix + name)
    return read


def _difference(value: S, plain: S) -> dict[str, Json]:
    return {name: _plain(own) for name, usual in _usual(plain) if (own := getattr(value, name)) != usual}


@lru_cache(maxsize=8)
def _usual(plain: S) -> tuple[tuple[str, object], ...]:
    """Its fields by name; every session that is stored is compared with the same few."""
    return tuple((one.name, getattr(plain, one.name)) for one in fields(plain))


def _plain(value: object) -> Json:
    """A field's value as JSON knows it."""
    if isinstance(value, frozenset):
        return [str(one) for one in sorted(value)]
    if isinstance(value, E164):
        return value.reveal()
    if isinstance(value, StrEnum):
        return value.value
    assert value is None or isinstance(value, (bool, int, float, str))
    return value
