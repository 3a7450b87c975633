"""What a simulated far end does with a call: plain values, and the choices that tests and demos need.

All times are milliseconds; ``*_after_ms`` counts from the INVITE, ``hang_up_after_ms`` from the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.trial.sip_message import Headers

FINALS = (486, 600, 480, 408, 404, 484, 403, 603, 500, 503, 488, 302)
"""The final answers a carrier may give in place of a 200; with silence they are the whole matrix."""


class OnCancel(Enum):
    """How a ringing far end answers CANCEL."""

    TERMINATE = "200 to CANCEL, 487 to INVITE"
    IGNORE = "no reply at all"
    ANSWER_ANYWAY = "200 to CANCEL, 200 to INVITE: the answer crossed the CANCEL"
    ONLY_OK = "200 to CANCEL, nothing to INVITE"


@dataclass(frozen=True, slots=True)
class InviteFacts:
    """What an INVITE says. ``user`` is the dialled user part of the request URI."""

    user: str
    to_user: str
    from_user: str
    from_display: str
    call_id: str
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One call's script. With neither ``reject`` nor ``answer_after_ms`` it waits for ever."""

    trying: bool = True
    ring_after_ms: int | None = None
    early_media: bool = False
    """The ringing is 183 with a session description, and the audio starts with it."""
    answer_after_ms: int | None = None
    reject: int | None = None
    reject_after_ms: int = 0
    reply_headers: tuple[tuple[str, str], ...] = ()
    """Added to the final response, e.g. Contact for 302, Reason, Retry-After."""
    hang_up_after_ms: int | None = None
    audio: bytes = b""
    repeat_audio: bool = True
    mute: bool = False
    """No RTP is sent at all (a dead media path)."""
    srtp_key: str = ""
    """Answer with SRTP and this key (SDES); in signalling alone, no audio is sent."""
    on_cancel: OnCancel = OnCancel.TERMINATE
    reinvite_status: int = 200
    answer_bye: bool = True


Decide = Callable[[InviteFacts], Behaviour]


def answers(
    *,
    after_ms: int = 100,
    ring_after_ms: int | None = 20,
    early_media: bool = False,
    hang_up_after_ms: int | None = None,
    audio: bytes = b"",
    repeat_audio: bool = True,
) -> Behaviour:
    """Rings, answers, and waits for the other side to hang up or does so itself."""
    return Behaviour(
        ring_after_ms=ring_after_ms,
        early_media=early_media,
        answer_after_ms=after_ms,
        hang_up_after_ms=hang_up_after_ms,
        audio=audio,
        repeat_audio=repeat_audio,
    )


def rejects(status: int, *, after_ms: int = 50, ring_after_ms: int | None = None) -> Behaviour:
    """Gives a final answer other than 200; with ``ring_after_ms`` it rings before."""
    redirect = (("Contact", "<sip:elsewhere@127.0.0.1:9>"),) if status // 100 == 3 else ()
    return Behaviour(
        ring_after_ms=ring_after_ms, reject=status, reject_after_ms=after_ms, reply_headers=redirect
    )


def rings(*, early_media: bool = False, on_cancel: OnCancel = OnCancel.TERMINATE) -> Behaviour:
    """Rings for ever."""
    return Behaviour(ring_after_ms=20, early_media=early_media, on_cancel=on_cancel)


def silent(*, trying: bool = False) -> Behaviour:
    """Says nothing at all, or only 100."""
    return Behaviour(trying=trying)


def by_ending(table: Mapping[str, Behaviour], otherwise: Behaviour) -> Decide:
    """Chooses by the last digits of the dialled number; the longest ending that fits wins."""

    def decide(facts: InviteFacts) -> Behaviour:
        fitting = [ending for ending in table if facts.user.endswith(ending)]
        return table[max(fitting, key=len)] if fitting else otherwise

    return decide


def by_last_digits() -> Decide:
    """The standing dial plan of the simulated carrier: the dialled number's last four digits decide.

    ``x000`` answers; ``0FFF`` rejects with final FFF at once, ``1FFF`` after ringing;
    ``7001`` silence, ``7002`` only 100, ``7003`` rings for ever, ``7004`` rings with early media for ever;
    ``8NNN`` answers after NNN·10 ms, ``9NNN`` answers and hangs up NNN·10 ms later.
    """
    standing = {
        "7001": silent(),
        "7002": silent(trying=True),
        "7003": rings(),
        "7004": rings(early_media=True),
    }

    def decide(facts: InviteFacts) -> Behaviour:
        ending = facts.user[-4:]
        if ending in standing:
            return standing[ending]
        if not (len(ending) == 4 and ending.isdigit()):
            return rejects(404)
        kind, number = ending[0], int(ending[1:])
        if kind in "01" and number in FINALS:
            return rejects(number, ring_after_ms=20 if kind == "1" else None)
        if kind == "8":
            return answers(after_ms=10 * number)
        if kind == "9":
            return answers(hang_up_after_ms=10 * number)
        return answers()

    return decide
