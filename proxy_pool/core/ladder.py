"""What somebody meets who dials a proxy number and is not let through at once. Pure.

The rungs, in this order, each only where the service has it:

    intercept     the application may block (asked for known callers too)
    proof         a participant whose session always asks for a PIN shows the own one
    extension     on numbers with extensions: digits that are a session's extension
    pin           on numbers of pairs and groups, which alone have PINs: digits that are a participant's
    callback      the application says what to do, and may open a session on the spot
    fallback      a number of the service's is dialled
    announcement  a sound is played
    reject        always the last

Which rungs there are follows from the service's settings and the number's use alone, never from the
sessions: a stranger hears the same questions in the same order, and the same end, whether or not there is a
session behind the number, whether or not a PIN is right but its session closed, and whether or not the
limit on attempts is reached. Somebody who cannot prove to be a participant goes on as a stranger.

The shell does what the present rung says and tells what it heard. ``CONNECT`` stands at the end only for
whom a session was found; the shell looks again before it connects anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from proxy_pool.core.number import Use
from proxy_pool.core.settings import UnknownCallers

TRIES: Final = 3
"""How often the same question is asked in one call."""


class Rung(StrEnum):
    INTERCEPT = "intercept"
    PROOF = "proof"
    EXTENSION = "extension"
    PIN = "pin"
    CALLBACK = "callback"
    FALLBACK = "fallback"
    ANNOUNCEMENT = "announcement"
    CONNECT = "connect"
    """The end for somebody who is let through."""
    SAY = "say"
    """The end for somebody to whom the application wants something said."""
    REJECT = "reject"


_ENDS: Final = frozenset({Rung.CONNECT, Rung.SAY, Rung.REJECT})
_QUESTIONS: Final = frozenset({Rung.PROOF, Rung.EXTENSION, Rung.PIN})


class Heard(StrEnum):
    """What came of a step."""

    FOUND = "found"
    """Digits, or the application, lead to a session that lets this caller through now."""
    WRONG = "wrong"
    """Digits lead nowhere, were not looked up because of the limit, or there were none; or the fallback or
    the announcement cannot be had."""
    PASS = "pass"  # noqa: S105
    """The application has nothing against it, or nothing to say."""
    BLOCK = "block"
    """The application refuses."""
    AWAY = "away"
    """The application did not answer in time, or what it answered makes no sense."""
    SPEAK = "speak"
    """The application wants an announcement played."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where somebody stands: ``rungs`` from the present one to the last, questions left on the present one.

    ``why`` is the reason of a rejection, for the tenant's records; the caller is told none.
    """

    rungs: tuple[Rung, ...]
    tries: int = TRIES
    fail_open: bool = False
    why: str = "unknown_caller"

    @property
    def rung(self) -> Rung:
        return self.rungs[0]

    @property
    def again(self) -> bool:
        """Whether the present question was answered wrongly before."""
        return self.rung in _QUESTIONS and self.tries < TRIES

    @property
    def over(self) -> bool:
        return self.rung in _ENDS


def stranger(unknown: UnknownCallers, use: Use) -> Progress:
    """Where a caller begins whom no session knows."""
    return Progress(_climb(unknown, use), fail_open=unknown.fail_open)


def participant(unknown: UnknownCallers, *, proof: bool) -> Progress:
    """Where a caller begins whom a session knows. ``proof``: they must show their PIN.

    Whoever fails to is a stranger with a borrowed number: the rest of the ladder is theirs, without a
    second round of PINs.
    """
    asked = (Rung.INTERCEPT,) if unknown.intercept_url else ()
    if not proof:
        return Progress((*asked, Rung.CONNECT), fail_open=unknown.fail_open)
    return Progress((*asked, Rung.PROOF, *_last_rungs(unknown)), fail_open=unknown.fail_open)


def turned_away(why: str) -> Progress:
    """The end for somebody who does not even get a question. Outwardly the same as any other rejection."""
    return Progress((Rung.REJECT,), why=why)


def _climb(unknown: UnknownCallers, use: Use) -> tuple[Rung, ...]:
    asked = (Rung.INTERCEPT,) if unknown.intercept_url else ()
    extension = (Rung.EXTENSION,) if use is Use.EXTENSIONS else ()
    pin = (Rung.PIN,) if unknown.ask_pin and use is Use.PAIRS else ()
    return (*asked, *extension, *pin, *_last_rungs(unknown))


def _last_rungs(unknown: UnknownCallers) -> tuple[Rung, ...]:
    there = (
        (Rung.CALLBACK, bool(unknown.callback_url)),
        (Rung.FALLBACK, unknown.fallback is not None),
        (Rung.ANNOUNCEMENT, bool(unknown.announcement)),
        (Rung.REJECT, True),
    )
    return tuple(rung for rung, is_there in there if is_there)


def hear(progress: Progress, heard: Heard) -> Progress:
    """Where somebody stands after the present step gave this. What a rung cannot give is a rejection."""
    if progress.over:
        return progress
    rung = progress.rung
    if rung in _QUESTIONS:
        return _after_question(progress, heard)
    if rung in (Rung.INTERCEPT, Rung.CALLBACK):
        return _after_hook(progress, heard)
    return _next(progress) if heard is Heard.WRONG else _rejected(progress, "unknown_caller")


def _after_question(progress: Progress, heard: Heard) -> Progress:
    if heard is Heard.FOUND:
        return replace(progress, rungs=(Rung.CONNECT,))
    if heard is not Heard.WRONG:
        return _rejected(progress, "unknown_caller")
    return replace(progress, tries=progress.tries - 1) if progress.tries > 1 else _next(progress)


def _after_hook(progress: Progress, heard: Heard) -> Progress:
    if heard is Heard.PASS:
        return _next(progress)
    if heard is Heard.AWAY:
        return _next(progress) if progress.fail_open else _rejected(progress, "hook_unavailable")
    if progress.rung is Rung.CALLBACK and heard is Heard.FOUND:
        return replace(progress, rungs=(Rung.CONNECT,))
    if progress.rung is Rung.CALLBACK and heard is Heard.SPEAK:
        return replace(progress, rungs=(Rung.SAY,))
    return _rejected(progress, "blocked")


def _next(progress: Progress) -> Progress:
    return replace(progress, rungs=progress.rungs[1:], tries=TRIES)


def _rejected(progress: Progress, why: str) -> Progress:
    return replace(progress, rungs=(Rung.REJECT,), why=why)
