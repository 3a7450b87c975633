"""From the terms of a request to those of a session, by the field names of ``core.session.Terms``."""

from __future__ import annotations

from typing import Final

from gateway.http.orbit.fields import Spoken
from gateway.http.orbit.placing import announcement
from gateway.http.orbit.proxy_schemas import ChangeSession, OpenSession, People, SessionPin, Terms
from gateway.http.ports import Prompts
from proxy_pool.core.views import WORDS
from telephony.errors import InvalidInput
from telephony.ids import TenantId

OURS: Final = {word: name for name, word in WORDS.items()}
"""From the words of requests back to the names of ``Terms``."""
_SAID: Final = tuple(Terms.model_fields)


def plain_terms(wanted: Terms) -> dict[str, object]:
    """What needs nothing but another name."""
    said = {word: getattr(wanted, word) for word in _SAID}
    return {OURS.get(word, word): value for word, value in said.items() if value is not None}


async def session_terms(
    prompts: Prompts, tenant: TenantId, wanted: OpenSession | ChangeSession
) -> dict[str, object]:
    """All that the request says of the session's terms; texts are spoken now, so that no caller waits."""
    terms = plain_terms(wanted)
    if isinstance(wanted, OpenSession):
        numbers = "shared" if wanted.proxy_number and wanted.model == "pair" else wanted.numbers
        if numbers is not None:
            terms["numbers"] = numbers
    if wanted.expires_at is not None or _taken_away(wanted, "expires_at"):
        terms["expires_at"] = wanted.expires_at or 0.0
    if wanted.pin is not None:
        terms |= _pin_terms(wanted.pin, [member.pin for member in wanted.members or [] if member.pin])
    for side in ("a", "b"):
        word = f"announcement_{side}"
        spoken: Spoken | None = getattr(wanted, word)
        if spoken is not None:
            terms[OURS[word]] = (await announcement(prompts, tenant, spoken, word)).sound
        elif _taken_away(wanted, word):
            terms[OURS[word]] = ""
    return terms


def _taken_away(wanted: People, word: str) -> bool:
    return isinstance(wanted, ChangeSession) and word in wanted.model_fields_set


def _pin_terms(pin: SessionPin, of_members: list[str]) -> dict[str, object]:
    given = [one for one in (pin.a, pin.b, *of_members) if one is not None]
    length = pin.length or (len(given[0]) if given else None)
    return {"pin_mode": pin.mode} | ({} if length is None else {"pin_length": length})


def check_pins_given(wanted: OpenSession) -> None:
    """Raises InvalidInput where PINs are not to be made and one is not given."""
    pin = wanted.pin
    if pin is None or pin.generate or pin.mode == "off":
        return
    given = {"pin.a": pin.a}
    if wanted.members is not None:
        given |= {f"members.{place}.pin": member.pin for place, member in enumerate(wanted.members)}
    elif wanted.party_b is not None:
        given["pin.b"] = pin.b
    for field, text in given.items():
        if text is None:
            raise InvalidInput(
                f"{field} is required where PINs are not generated",
                field=field,
                expected="a PIN",
                code="MISSING_REQUIRED_FIELD",
            )


def check_expiry(expires_at: float | None, now: float, latest: float) -> None:
    """Raises InvalidInput for an end that has passed, or lies beyond the longest life of the session."""
    if expires_at is None:
        return
    if expires_at <= now:
        raise InvalidInput(
            "the session would have ended before it began",
            field="expires_at",
            expected="a time in the future",
            code="EXPIRY_IN_THE_PAST",
        )
    if expires_at > latest:
        raise InvalidInput(
            "the session cannot live so long",
            field="expires_at",
            expected=f"at most {int(latest - now)} seconds from now, or a larger max_lifetime",
            code="EXPIRY_TOO_FAR",
        )
