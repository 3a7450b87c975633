"""What a telephone does in the room, and what it hears there: keys, mute, the recording. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from video_rooms.core.leg import Describe, Mute, Others
from video_rooms.core.room import Presence
from video_rooms.core.visit_words import Say, ShowPerson, Stage, Visit, VisitOrder
from video_rooms.core.words_spoken import Line, Words

Step = tuple[Visit, tuple[VisitOrder, ...]]

STAR_S: Final = 5.0
"""How long a ``*`` waits for its digit."""
MUTED: Final = "muted"
HAND: Final = "hand_raised"
"""Attributes of the participant, ``true`` or ``false``."""


def say(visit: Visit, *lines: Line | Words) -> Step:
    """Say this now. What is cut off by it is not said again, but that the room is recorded is."""
    if visit.quiet:
        return visit, ()
    name = f"s{visit.spoken + 1}"
    whole = tuple(line if isinstance(line, Line) else Line(line) for line in lines)
    said = replace(visit, says=name, spoken=visit.spoken + 1, noticing=False)
    return said, (Say(name, whole),)


def said(visit: Visit, *, cut: bool) -> Step:
    """Something has been said in the room; a notice that is due comes next."""
    heard = visit.noticing and not cut
    visit = replace(visit, says="", noticing=False, notice=visit.notice and not heard)
    return notify(visit)


def notify(visit: Visit) -> Step:
    """Say that the room is recorded, as soon as nothing else is being said."""
    if visit.stage is not Stage.INSIDE or not visit.notice or visit.says or visit.quiet:
        return visit, ()
    visit, out = say(visit, Words.RECORDED)
    return replace(visit, noticing=True), out


def others(visit: Visit, fact: Others) -> Step:
    """Others came or went, or the recording began or ended."""
    began, ended = fact.recording and not visit.recording, visit.recording and not fact.recording
    visit = replace(visit, others=fact.count, recording=fact.recording)
    if began:
        return notify(replace(visit, notice=True))
    if ended and (visit.notice or visit.noticing):
        return replace(visit, notice=False), ()
    return say(visit, Words.RECORDED_NO_MORE) if ended else (visit, ())


def pressed(visit: Visit, digit: str, now: float) -> Step:
    """A key. Commands are a ``*`` and a digit."""
    if visit.quiet:
        return visit, ()
    if digit == "*":
        return replace(visit, star_at=now), ()
    starred = visit.star_at is not None and now - visit.star_at <= STAR_S
    visit = replace(visit, star_at=None)
    match digit if starred else "":
        case "1":
            heads = Line(Words.COUNT, visit.others + 1) if visit.others else Line(Words.ALONE)
            return say(visit, heads)
        case "2":
            return _hand(replace(visit, hand=not visit.hand))
        case "4":
            return say(visit, Words.KEYS)
        case "6":
            return _muted(visit, not visit.muted)
    return visit, ()


def _hand(visit: Visit) -> Step:
    visit, out = say(visit, Words.HAND_UP if visit.hand else Words.HAND_DOWN)
    return visit, (Describe({HAND: _word(visit.hand)}), *out, ShowPerson(Presence.JOINED))


def _muted(visit: Visit, on: bool) -> Step:
    visit, out = say(replace(visit, muted=on), Words.MUTED if on else Words.UNMUTED)
    return visit, (Mute(on), Describe({MUTED: _word(on)}), *out, ShowPerson(Presence.JOINED))


def room_muted(visit: Visit, on: bool) -> Step:
    """A host's mute is like one's own: the same key takes it back. What is known already is not said."""
    if on == visit.muted:
        return visit, ()
    visit, out = say(replace(visit, muted=on), Words.HOST_MUTED if on else Words.UNMUTED)
    own = () if on else (Mute(False),)
    return visit, (*own, Describe({MUTED: _word(on)}), *out, ShowPerson(Presence.JOINED))


def _word(on: bool) -> str:
    return "true" if on else "false"
