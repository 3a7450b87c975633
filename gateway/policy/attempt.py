"""A call somebody wants, with every fact the rules ask for. Gathered once, judged purely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.policy.destination import Destination
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What a tenant may spend. ``countries``: ISO 3166 codes that may be called, None for all."""

    countries: frozenset[str] | None
    concurrent: int
    concurrent_per_key: int
    daily_minutes: int
    calls_per_minute: int = 60

    def narrowed(self, overrides: Mapping[str, object]) -> CallLimits:
        """These limits with a tenant's own; entries of another name or type are left out."""

        def own(name: str, default: int) -> int:
            value = overrides.get(name)
            return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default

        countries = overrides.get("countries")
        return CallLimits(
            countries=frozenset(str(code) for code in countries)
            if isinstance(countries, list)
            else self.countries,
            concurrent=own("concurrent", self.concurrent),
            concurrent_per_key=own("concurrent_per_key", self.concurrent_per_key),
            daily_minutes=own("daily_minutes", self.daily_minutes),
            calls_per_minute=own("calls_per_minute", self.calls_per_minute),
        )


@dataclass(frozen=True, slots=True)
class ShownNumber:
    """The number the call shows: as asked for, and whether it is the tenant's and may speak."""

    destination: Destination
    owned: bool
    voice: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A number the call would dial. ``field`` names it in the request; ``own``: the tenant's own number."""

    field: str
    destination: Destination
    own: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """Where the key stands in its window of one minute. ``reset_s``: seconds until it may go on."""

    allowed: bool
    limit: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything the rules look at. ``live`` counts calls that are under way, this one not included."""

    test_key: bool
    shown: ShownNumber | None
    targets: tuple[Target, ...]
    limits: CallLimits
    live: int
    live_of_key: int
    seconds_today: int
    day_left_s: int
    pace: Pace

    @property
    def cli(self) -> E164 | None:
        return None if self.shown is None else self.shown.destination.number
