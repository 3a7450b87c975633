"""The rules a call must pass before money is spent: one list, used to place a call and to ask beforehand.

A rule is a name, what it demands in words, and a pure function that gives None or the error that
refuses the call. ``enforce`` raises the first refusal; ``verdicts`` shows them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.policy.attempt import Attempt, CallLimits, Target
from telephony.errors import InvalidInput, NotPermitted, PatchbayError, TooMany, UnknownReference

INVALID_NUMBER: Final = "INVALID_PHONE_NUMBER"
E164_EXPECTED: Final = "+ and 7 to 15 digits, e.g. +14155552671"
_BUSY_RETRY_S: Final = 10

Judge = Callable[[Attempt], PatchbayError | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand. ``demand`` is what holds when it passed, for people."""

    name: str
    demand: str
    judge: Judge


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule says of an attempt. ``refusal`` is None where it passed."""

    rule: Rule
    refusal: PatchbayError | None

    @property
    def passed(self) -> bool:
        return self.refusal is None

    @property
    def message(self) -> str:
        return self.rule.demand if self.refusal is None else self.refusal.message


def verdicts(attempt: Attempt) -> tuple[RuleVerdict, ...]:
    """Every rule's word on the attempt, in the order in which they are enforced."""
    return tuple(RuleVerdict(rule, rule.judge(attempt)) for rule in RULES)


def enforce(attempt: Attempt) -> None:
    """Raise the first refusal, if any."""
    for rule in RULES:
        refusal = rule.judge(attempt)
        if refusal is not None:
            raise refusal


def check_target(target: Target, limits: CallLimits) -> None:
    """Raise the first refusal of one number alone: for numbers that calls will be sent to later."""
    for judge in (_not_emergency, _valid, _plain_price, _no_loop):
        refusal = judge(target)
        if refusal is not None:
            raise refusal
    refusal = _abroad(target, limits.countries)
    if refusal is not None:
        raise refusal


def _live_key(attempt: Attempt) -> PatchbayError | None:
    if not attempt.test_key:
        return None
    return NotPermitted("a test key places no calls; use a live key", code="TEST_KEY")


def _each_target(judge: Callable[[Target], PatchbayError | None]) -> Judge:
    def over_all(attempt: Attempt) -> PatchbayError | None:
        return next((refusal for target in attempt.targets if (refusal := judge(target))), None)

    return over_all


def _not_emergency(target: Target) -> PatchbayError | None:
    if not target.destination.emergency:
        return None
    return _refused(
        target,
        "emergency numbers cannot be called through this gateway",
        "a number that is not an emergency service",
        "EMERGENCY_NUMBER",
    )


def _valid(target: Target) -> PatchbayError | None:
    if target.destination.number is None:
        return _refused(target, "not a number in E.164 form", E164_EXPECTED, INVALID_NUMBER)
    if not target.destination.valid:
        return _refused(
            target, "no such number in the numbering plan", "a number in use in its country", INVALID_NUMBER
        )
    return None


def _plain_price(target: Target) -> PatchbayError | None:
    if not target.destination.costly:
        return None
    kind = target.destination.kind.replace("_", " ")
    return _refused(
        target, f"{kind} numbers are not called", "an ordinary line, mobile or toll-free", "PREMIUM_NUMBER"
    )


def _country(attempt: Attempt) -> PatchbayError | None:
    countries = attempt.limits.countries
    return next((no for target in attempt.targets if (no := _abroad(target, countries))), None)


def _abroad(target: Target, countries: frozenset[str] | None) -> PatchbayError | None:
    region = target.destination.region
    if countries is None or region in countries:
        return None
    where = region or "an unknown country"
    named = ", ".join(sorted(countries)) or "no country"
    return _refused(
        target, f"calls to {where} are not allowed", f"a number in {named}", "COUNTRY_NOT_ALLOWED"
    )


def _no_loop(target: Target) -> PatchbayError | None:
    if not target.own:
        return None
    return _refused(
        target, "this is your own number: the call would come back", "a number that is not yours", "CALL_LOOP"
    )


def _from_given(attempt: Attempt) -> PatchbayError | None:
    if attempt.shown is not None:
        return None
    return InvalidInput(
        "no number to show: name one, or mark one of yours as default",
        field="from",
        expected="one of your numbers",
        code="MISSING_REQUIRED_FIELD",
    )


def _from_owned(attempt: Attempt) -> PatchbayError | None:
    shown = attempt.shown
    if shown is None or shown.owned:
        return None
    if shown.destination.number is None:
        return InvalidInput(
            "not a number in E.164 form", field="from", expected=E164_EXPECTED, code=INVALID_NUMBER
        )
    return UnknownReference(
        "this number is not yours to show",
        field="from",
        expected="one of your numbers",
        code="NUMBER_NOT_OWNED",
    )


def _from_speaks(attempt: Attempt) -> PatchbayError | None:
    shown = attempt.shown
    if shown is None or not shown.owned or shown.voice:
        return None
    return InvalidInput(
        "this number has no voice capability",
        field="from",
        expected="a number with the capability voice",
        code="NUMBER_WITHOUT_VOICE",
    )


def _tenant_room(attempt: Attempt) -> PatchbayError | None:
    limit = attempt.limits.concurrent
    if attempt.live < limit:
        return None
    return _crowded("this account has as many calls at once as it may", limit)


def _key_room(attempt: Attempt) -> PatchbayError | None:
    limit = attempt.limits.concurrent_per_key
    if attempt.live_of_key < limit:
        return None
    return _crowded("this key has as many calls at once as it may", limit)


def _crowded(message: str, limit: int) -> TooMany:
    return TooMany(
        message, retry_after_s=_BUSY_RETRY_S, limit=limit, window="concurrent", code="CONCURRENCY_LIMIT"
    )


def _minutes_left(attempt: Attempt) -> PatchbayError | None:
    limit = attempt.limits.daily_minutes
    if attempt.seconds_today < limit * 60:
        return None
    return TooMany(
        "today's minutes are used up",
        retry_after_s=max(1, attempt.day_left_s),
        limit=limit,
        window="day",
        code="DAILY_MINUTES_LIMIT",
    )


def _paced(attempt: Attempt) -> PatchbayError | None:
    pace = attempt.pace
    if pace.allowed:
        return None
    return TooMany("too many calls a minute", retry_after_s=pace.reset_s, limit=pace.limit, window="minute")


def _refused(target: Target, message: str, expected: str, code: str) -> InvalidInput:
    return InvalidInput(message, field=target.field, expected=expected, code=code)


RULES: Final[tuple[Rule, ...]] = (
    Rule("live_key", "the key is a live key", _live_key),
    Rule("not_emergency", "no emergency service is called", _each_target(_not_emergency)),
    Rule("valid_number", "the numbering plan knows the number", _each_target(_valid)),
    Rule("not_premium", "the number has the plain price of its country", _each_target(_plain_price)),
    Rule("country_allowed", "the country may be called", _country),
    Rule("not_own_number", "the call does not come back to you", _each_target(_no_loop)),
    Rule("from_given", "there is a number to show", _from_given),
    Rule("from_owned", "the number shown is yours", _from_owned),
    Rule("from_has_voice", "the number shown may speak", _from_speaks),
    Rule("daily_minutes", "there are minutes left today", _minutes_left),
    Rule("tenant_concurrency", "the account has room for another call", _tenant_room),
    Rule("key_concurrency", "the key has room for another call", _key_room),
    Rule("rate", "the key is within its calls a minute", _paced),
)
"""In the order in which they are enforced: what is wrong with the request before what is wrong today."""
