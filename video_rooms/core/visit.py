"""The machine of one telephone's visit to a room: ``step(visit, fact, now) -> (visit, orders)``. Pure.

Dialled in: asked for a meeting number, judged, perhaps kept waiting, let in. Called out: rung, asked for
consent, let in. In the room keys do what a browser's buttons do. Every stage that waits has a deadline
(``deadline``), every ending a name (``Why``), and whatever comes late changes nothing.

A meeting number that opens nothing is answered alike whatever the reason, and at the same moment: a guess
learns nothing from the words, from the time, or from the number of tries that are left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from video_rooms.core import visit_inside
from video_rooms.core.leg import (
    Answer,
    Arrived,
    Digit,
    Gone,
    HangUp,
    HoldMusic,
    Joined,
    JoinFailed,
    Leave,
    Left,
    Others,
    RoomMuted,
    SoundsDone,
    StopSounds,
)
from video_rooms.core.room import Presence
from video_rooms.core.visit_inside import say
from video_rooms.core.visit_words import (
    Admitted,
    AskPin,
    CallOver,
    CallRang,
    CameIn,
    Denied,
    EndCall,
    Enter,
    Expelled,
    HostCame,
    Judged,
    Opening,
    RoomOver,
    ShowPerson,
    Stage,
    TellFailed,
    Tick,
    Visit,
    VisitFact,
    VisitOrder,
    Way,
    Why,
)
from video_rooms.core.words_spoken import Line, Words

Step = tuple[Visit, tuple[VisitOrder, ...]]

PIN_MIN: Final = 6
PIN_MAX: Final = 9
TRIES: Final = 3
DIGIT_S: Final = 5.0
"""How long the next digit may take."""
PROMPT_S: Final = 30.0
"""The longest that a prompt may take, should its end never be told."""
JUDGE_S: Final = 5.0
REFUSE_S: Final = 1.0
"""When a meeting number is refused, after its last digit: later than any judgement takes."""
CONSENT_S: Final = 20.0
LOBBY_S: Final = 1800.0
ENTER_S: Final = 10.0
FAREWELL_S: Final = 10.0
REMOVED_S: Final = 0.7
"""The farewell of one that was put out: a kick holds within a second."""
END_S: Final = 3.0
_ACTIVE: Final = frozenset(Stage) - {Stage.LEAVING, Stage.ENDING, Stage.OVER}
_LEFT: Final = {"removed": (Why.REMOVED, Words.REMOVED), "room_ended": (Why.ENDED, Words.ENDED)}
_REFUSED: Final = {"full": Why.FULL, "refused": Why.ENDED, "no_room": Why.ENDED}
_GONE: Final = {"hangup": Why.HANGUP, "never_came": Why.UNAVAILABLE}


def dialled_in(now: float, longest_s: float, within_s: float) -> Visit:
    """A telephone that calls a dial-in line; its sound comes within so many seconds."""
    return Visit(Way.IN, now + within_s, longest_s)


def called_out(now: float, longest_s: float, within_s: float, room_id: str, *, consent: bool) -> Visit:
    """A telephone that is about to be called into this room; it is on the roster already."""
    opening = Opening(room_id)
    return Visit(Way.OUT, now + within_s, longest_s, opening=opening, consent=consent, listed=True)


def brought(now: float, longest_s: float, within_s: float, room_id: str) -> Visit:
    """An agent that is about to be brought into this room; it is on the roster already. Its channel is let
    up once it is in the room: what the agent says first is heard there."""
    visit = called_out(now, longest_s, within_s, room_id, consent=False)
    return replace(visit, quiet=True)


def deadline(visit: Visit) -> float | None:
    """When ``Tick`` is due; None once the visit is over."""
    if visit.stage is Stage.OVER:
        return None
    if visit.ends_at is None or visit.stage not in _ACTIVE:
        return visit.until
    return min(visit.until, visit.ends_at)


def step(visit: Visit, fact: VisitFact, now: float) -> Step:
    """What comes of this. Total: any fact in any stage is answered."""
    if visit.stage is Stage.OVER:
        return visit, ()
    match fact:
        case Tick():
            return _overdue(visit, now)
        case Gone(why):
            return _gone(visit, why)
        case CallOver(why):
            return _over(visit, why, HangUp())
    if visit.stage not in _ACTIVE:
        return _finish(visit, fact, now)
    match fact:
        case Expelled() | RoomOver():
            return _not_wanted(visit, fact, now)
        case SoundsDone(id, cut):
            return _said(visit, cut, now) if id == visit.says else (visit, ())
    return _STAGES[visit.stage](visit, fact, now)


# ---------------------------------------------------------------- before the room


def _coming(visit: Visit, fact: VisitFact, now: float) -> Step:
    match fact:
        case CallRang() if visit.way is Way.OUT:
            return visit, (ShowPerson(Presence.RINGING),)
        case Arrived():
            visit = replace(visit, ends_at=now + visit.longest_s)
            visit, out = _begin(visit, now)
            return visit, (out if visit.quiet else (Answer(), *out))
    return visit, ()


def _begin(visit: Visit, now: float) -> Step:
    if visit.way is Way.IN:
        return _ask(visit, now, Words.WELCOME, Words.ASK_PIN)
    if not visit.consent:
        return _enter(visit, now)
    visit = replace(visit, stage=Stage.CONSENT, until=now + CONSENT_S)
    return say(visit, Words.ASK_CONSENT)


def _ask(visit: Visit, now: float, *words: Words) -> Step:
    visit = replace(visit, stage=Stage.ASKING, until=now + PROMPT_S, typed="")
    return say(visit, *words)


def _asking(visit: Visit, fact: VisitFact, now: float) -> Step:
    if not isinstance(fact, Digit):
        return visit, ()
    hush: tuple[VisitOrder, ...] = (StopSounds(),) if visit.says else ()
    visit = replace(visit, says="", until=now + DIGIT_S)
    match fact.digit:
        case "#":
            visit, out = _typed(visit, now)
            return visit, (*hush, *out)
        case "*":
            return replace(visit, typed=""), hush
        case digit if digit in "0123456789":
            visit = replace(visit, typed=visit.typed + digit)
    if len(visit.typed) < PIN_MAX:
        return visit, hush
    visit, out = _typed(visit, now)
    return visit, (*hush, *out)


def _typed(visit: Visit, now: float) -> Step:
    """All digits are there. What is too short cannot be one; it is refused as any other."""
    pin = visit.typed
    visit = replace(visit, typed="", typed_at=now)
    if len(pin) < PIN_MIN:
        return _refuse(visit, Why.PIN, now)
    return replace(visit, stage=Stage.JUDGING, until=now + JUDGE_S), (AskPin(pin),)


def _judging(visit: Visit, fact: VisitFact, now: float) -> Step:
    if not isinstance(fact, Judged):
        return visit, ()
    if fact.opening is None:
        if fact.why is Why.UNAVAILABLE:
            return _leave(visit, Why.UNAVAILABLE, now, Words.UNAVAILABLE)
        return _refuse(visit, fact.why, now)
    visit = replace(visit, opening=fact.opening)
    return _wait(visit, now) if fact.opening.wait else _enter(visit, now)


def _refuse(visit: Visit, why: Why, now: float) -> Step:
    """Said ``REFUSE_S`` after the last digit, whenever it was known."""
    until = max(now, visit.typed_at + REFUSE_S)
    return replace(visit, stage=Stage.REFUSING, refused=why, until=until, opening=None), ()


def _refused(visit: Visit, now: float) -> Step:
    visit = replace(visit, tries=visit.tries + 1)
    if visit.tries >= TRIES:
        return _leave(visit, visit.refused, now, Words.REFUSED, Words.GOODBYE)
    return _ask(visit, now, Words.REFUSED, Words.ASK_AGAIN)


def _consent(visit: Visit, fact: VisitFact, now: float) -> Step:
    if fact != Digit("1"):
        return visit, ()
    hush: tuple[VisitOrder, ...] = (StopSounds(),) if visit.says else ()
    visit, out = _enter(replace(visit, says=""), now)
    return visit, (*hush, *out)


# ---------------------------------------------------------------- the lobby, the door


def _wait(visit: Visit, now: float) -> Step:
    assert visit.opening is not None, "somebody waits before a room"
    words = Words.WAIT_FOR_HOST if visit.opening.wait == "host" else Words.WAIT
    visit = replace(visit, stage=Stage.WAITING, until=now + LOBBY_S, listed=True)
    visit, out = say(visit, words)
    return visit, (ShowPerson(Presence.WAITING), HoldMusic(True), *out)


def _waiting(visit: Visit, fact: VisitFact, now: float) -> Step:
    assert visit.opening is not None, "somebody waits before a room"
    match fact:
        case Admitted():
            return _enter(visit, now)
        case HostCame() if visit.opening.wait == "host":
            return _enter(visit, now)
        case Denied():
            return _leave(visit, Why.DENIED, now, Words.DENIED)
    return visit, ()


def _enter(visit: Visit, now: float) -> Step:
    return replace(visit, stage=Stage.ENTERING, until=now + ENTER_S), (Enter(),)


def _entering(visit: Visit, fact: VisitFact, now: float) -> Step:
    match fact:
        case Joined(count):
            visit = replace(visit, stage=Stage.INSIDE, until=_never(visit, now), others=count, listed=True)
            visit, out = say(replace(visit, was_inside=True), Words.TONE, Line(Words.NUMBER, count + 1))
            first = Answer() if visit.quiet else HoldMusic(False)
            return visit, (first, ShowPerson(Presence.JOINED), CameIn(), *out)
        case JoinFailed(why) if why not in _REFUSED:
            return _leave(visit, Why.UNAVAILABLE, now, Words.UNAVAILABLE)
        case JoinFailed(why):
            if visit.way is Way.IN and not visit.listed:
                return _refuse(visit, _REFUSED[why], now)
            return _leave(visit, _REFUSED[why], now, Words.CANNOT_JOIN)
    return visit, ()


def _never(visit: Visit, now: float) -> float:
    """Who is inside has no deadline but the visit's."""
    return now + visit.longest_s if visit.ends_at is None else visit.ends_at


# ---------------------------------------------------------------- in the room


def _inside(visit: Visit, fact: VisitFact, now: float) -> Step:
    match fact:
        case Digit(digit):
            return visit_inside.pressed(visit, digit, now)
        case RoomMuted(on):
            return visit_inside.room_muted(visit, on)
        case Others():
            return visit_inside.others(visit, fact)
        case Left(why):
            ended, words = _LEFT.get(why, (Why.LOST, Words.LOST))
            return _leave(visit, ended, now, words, inside=False)
    return visit, ()


def _said(visit: Visit, cut: bool, now: float) -> Step:
    """What was being said has been heard."""
    if visit.stage is Stage.INSIDE:
        return visit_inside.said(visit, cut=cut)
    visit = replace(visit, says="")
    if visit.stage is Stage.ASKING:
        return replace(visit, until=now + DIGIT_S), ()
    if visit.stage is Stage.CONSENT and visit.spoken == 1:
        return say(visit, Words.ASK_CONSENT)
    return visit, ()


# ---------------------------------------------------------------- the end


def _not_wanted(visit: Visit, fact: Expelled | RoomOver, now: float) -> Step:
    """Put out before it came in, or the room is over: of no matter to who has not named a room yet, nor to
    who is inside and put out: that the media server tells."""
    if isinstance(fact, Expelled):
        if visit.opening is None or visit.stage is Stage.INSIDE:
            return visit, ()
        return _leave(visit, Why.REMOVED, now, Words.REMOVED)
    return (visit, ()) if visit.opening is None else _leave(visit, Why.ENDED, now, Words.ENDED)


def _leave(visit: Visit, why: Why, now: float, *words: Words, inside: bool = True) -> Step:
    """A farewell, then the hang-up. The roster and the room know at once. ``inside``: it may be in the room,
    or come into it."""
    there = inside and visit.stage in (Stage.ENTERING, Stage.INSIDE)
    out: tuple[VisitOrder, ...] = (Leave(),) if there else ()
    out = (*out, *_told(visit, why))
    nobody_hears = visit.quiet or visit.stage is Stage.COMING
    visit = replace(visit, stage=Stage.LEAVING, why=why, listed=False)
    if nobody_hears:
        return _hang_up(visit, out, now)
    visit, said = say(visit, *words)
    lasts = REMOVED_S if why is Why.REMOVED else FAREWELL_S
    return replace(visit, until=now + lasts), (*out, HoldMusic(False), *said)


def _told(visit: Visit, why: str) -> tuple[VisitOrder, ...]:
    """What the roster and the world are told of an end, once."""
    if not visit.listed:
        return ()
    in_vain = visit.way is Way.OUT and not visit.was_inside
    failed: tuple[VisitOrder, ...] = (TellFailed(why),) if in_vain else ()
    return (ShowPerson(Presence.LEFT, why), *failed)


def _hang_up(visit: Visit, before: tuple[VisitOrder, ...], now: float) -> Step:
    visit = replace(visit, stage=Stage.ENDING, until=now + END_S, says="")
    return visit, (*before, EndCall(visit.why), HangUp())


def _finish(visit: Visit, fact: VisitFact, now: float) -> Step:
    """It is leaving: the farewell's end is all that counts."""
    heard = isinstance(fact, SoundsDone) and fact.id == visit.says and visit.stage is Stage.LEAVING
    return _hang_up(visit, (), now) if heard else (visit, ())


def _gone(visit: Visit, why: str) -> Step:
    """The channel is no more. Where the telephone did not hang up, its call must not go on in silence."""
    ended = visit.why or _GONE.get(why, Why.LEG_LOST)
    return _over(visit, ended, *(() if why == "hangup" else (EndCall(ended),)))


def _over(visit: Visit, why: str, *last: VisitOrder) -> Step:
    why = visit.why or why
    told = _told(visit, why)
    return replace(visit, stage=Stage.OVER, why=why, says="", listed=False), (*told, *last)


def _overdue(visit: Visit, now: float) -> Step:
    """A deadline is over."""
    due = deadline(visit)
    if due is None or now < due:
        return visit, ()
    if visit.stage in _ACTIVE and visit.ends_at is not None and visit.ends_at <= now:
        return _leave(visit, Why.LONGEST, now, Words.LONGEST)
    match visit.stage:
        case Stage.ASKING:
            return _typed(replace(visit, typed_at=now), now)
        case Stage.REFUSING:
            return _refused(visit, now)
        case Stage.CONSENT:
            return _leave(visit, Why.NOT_JOINED, now, Words.GOODBYE)
        case Stage.WAITING:
            return _leave(visit, Why.NOT_ADMITTED, now, Words.NOT_ADMITTED)
        case Stage.LEAVING:
            return _hang_up(visit, (), now)
        case Stage.ENDING:
            return _over(visit, visit.why)
        case _:  # nobody came, judged or let in
            return _leave(visit, Why.UNAVAILABLE, now, Words.UNAVAILABLE)


def _deaf(visit: Visit, fact: VisitFact, now: float) -> Step:
    return visit, ()


_STAGES: Final = {
    Stage.COMING: _coming,
    Stage.ASKING: _asking,
    Stage.JUDGING: _judging,
    Stage.REFUSING: _deaf,
    Stage.CONSENT: _consent,
    Stage.WAITING: _waiting,
    Stage.ENTERING: _entering,
    Stage.INSIDE: _inside,
}
