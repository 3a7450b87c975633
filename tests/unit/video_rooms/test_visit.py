"""A telephone's visit, story by story: what is heard, when, and what the room sees of it."""

from __future__ import annotations

import pytest

from video_rooms.core.leg import (
    Answer,
    Arrived,
    Describe,
    Digit,
    HangUp,
    HoldMusic,
    Joined,
    JoinFailed,
    Leave,
    Left,
    Mute,
    Others,
    RoomMuted,
    SoundsDone,
    StopSounds,
)
from video_rooms.core.room import Presence
from video_rooms.core.visit import (
    CONSENT_S,
    DIGIT_S,
    LOBBY_S,
    REFUSE_S,
    REMOVED_S,
    called_out,
    deadline,
    dialled_in,
    step,
)
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
    Say,
    ShowPerson,
    Stage,
    TellFailed,
    Tick,
    Visit,
    VisitFact,
    VisitOrder,
    Why,
)
from video_rooms.core.words_spoken import Words

pytestmark = pytest.mark.unit

ROOM = Opening("a-room")


class Telephone:
    """A visit that is lived through."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.now = 100.0
        self.out: list[VisitOrder] = []

    def __call__(self, *facts: VisitFact) -> list[VisitOrder]:
        """These happen now; what comes of the last one."""
        for fact in facts:
            self.visit, out = step(self.visit, fact, self.now)
            self.out = list(out)
        return self.out

    def press(self, digits: str) -> list[VisitOrder]:
        return self(*(Digit(digit) for digit in digits))

    def due(self) -> list[VisitOrder]:
        """The next deadline passes."""
        at = deadline(self.visit)
        assert at is not None
        self.now = max(self.now, at)
        return self(Tick())

    def heard(self) -> list[VisitOrder]:
        """What is being said is heard to its end."""
        assert self.visit.says
        return self(SoundsDone(self.visit.says))

    @property
    def stage(self) -> Stage:
        return self.visit.stage

    @property
    def said(self) -> list[Words]:
        return [line.words for one in self.out if isinstance(one, Say) for line in one.lines]


def dial_in() -> Telephone:
    phone = Telephone(dialled_in(100.0, 3600.0, 30.0))
    phone(Arrived())
    return phone


def ring(*, consent: bool = True) -> Telephone:
    return Telephone(called_out(100.0, 3600.0, 70.0, "a-room", consent=consent))


def inside() -> Telephone:
    phone = dial_in()
    phone.press("123456789")
    phone(Judged(ROOM), Joined(2))
    phone.heard()
    return phone


def test_who_dials_in_is_asked_for_a_meeting_number() -> None:
    phone = Telephone(dialled_in(100.0, 3600.0, 30.0))
    assert Answer() in phone(Arrived())
    assert phone.said == [Words.WELCOME, Words.ASK_PIN]


def test_nine_digits_need_no_hash_key() -> None:
    phone = dial_in()
    phone.press("12345678")
    assert phone.stage is Stage.ASKING
    (asked,) = phone.press("9")
    assert asked == AskPin("123456789")
    assert "123456789" not in repr(asked)
    assert "123456789" not in repr(phone.visit)


def test_six_digits_and_the_hash_key_or_five_seconds_of_silence() -> None:
    phone = dial_in()
    assert phone.press("123456#") == [AskPin("123456")]
    phone = dial_in()
    phone.press("123456")
    phone.now += DIGIT_S - 0.1
    assert phone(Tick()) == []
    assert phone.due() == [AskPin("123456")]


def test_a_digit_cuts_the_question_off_and_a_star_begins_anew() -> None:
    phone = dial_in()
    assert phone.press("1") == [StopSounds()]
    assert phone.press("2") == []
    phone.press("34*")
    assert phone.press("654321#") == [AskPin("654321")]


def test_the_question_may_be_heard_to_its_end_before_the_first_digit() -> None:
    phone = dial_in()
    phone.now += 12.0
    phone.heard()
    assert deadline(phone.visit) == phone.now + DIGIT_S


@pytest.mark.parametrize("known_after", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("why", [Why.PIN, Why.NOT_OPEN, Why.ENDED, Why.TRIES, Why.FULL, None])
def test_a_number_that_opens_nothing_is_answered_alike_and_at_one_moment(
    why: Why | None, known_after: float
) -> None:
    """``why`` None: too few digits, which nobody is asked about."""
    phone = dial_in()
    phone.press("12345#" if why is None else "123456#")
    typed_at = phone.now
    phone.now += known_after
    if why is Why.FULL:  # found out at the door
        phone(Judged(ROOM), JoinFailed("full"))
    elif why is not None:
        phone(Judged(None, why))
    assert phone.out == []
    phone.due()
    assert phone.now == typed_at + REFUSE_S
    assert phone.said == [Words.REFUSED, Words.ASK_AGAIN]
    assert phone.stage is Stage.ASKING
    assert phone.visit.tries == 1


def test_three_tries_then_goodbye() -> None:
    phone = dial_in()
    for _ in range(2):
        phone.press("111111#")
        phone(Judged(None))
        phone.due()
        assert phone.said == [Words.REFUSED, Words.ASK_AGAIN]
    phone.press("111111#")
    phone(Judged(None))
    phone.due()
    assert phone.said == [Words.REFUSED, Words.GOODBYE]
    assert phone.heard() == [EndCall("room_pin_wrong"), HangUp()]


def test_who_says_nothing_is_asked_three_times_and_let_go() -> None:
    phone = dial_in()
    for _ in range(3):
        phone.heard()
        phone.due()
        assert phone.stage is Stage.REFUSING
        phone.due()
    assert phone.said == [Words.REFUSED, Words.GOODBYE]
    assert phone.due() == [EndCall("room_pin_wrong"), HangUp()]


def test_a_judgement_that_never_comes_ends_with_an_apology() -> None:
    phone = dial_in()
    phone.press("123456#")
    phone.due()
    assert phone.said == [Words.UNAVAILABLE]
    assert phone.heard() == [EndCall("room_unavailable"), HangUp()]
    assert phone(Judged(ROOM)) == [], "too late"


def test_the_right_number_leads_in_at_once() -> None:
    phone = dial_in()
    phone.press("123456789")
    assert phone(Judged(ROOM)) == [Enter()]
    out = phone(Joined(3))
    assert phone.said == [Words.TONE, Words.NUMBER]
    assert phone.visit.others == 3
    assert [one.lines[1].n for one in out if isinstance(one, Say)] == [4]
    assert ShowPerson(Presence.JOINED) in out
    assert CameIn() in out
    assert phone.now == 100.0


def test_the_lobby_has_music_and_a_host_lets_in() -> None:
    phone = dial_in()
    phone.press("123456789")
    out = phone(Judged(Opening("a-room", "lobby")))
    assert {ShowPerson(Presence.WAITING), HoldMusic(True)} <= set(out)
    assert phone.said == [Words.WAIT]
    assert phone(HostCame()) == []
    assert phone(Admitted()) == [Enter()]
    assert HoldMusic(False) in phone(Joined(1))


def test_who_waits_for_the_host_comes_in_with_them() -> None:
    phone = dial_in()
    phone.press("123456789")
    phone(Judged(Opening("a-room", "host")))
    assert phone.said == [Words.WAIT_FOR_HOST]
    assert phone(HostCame()) == [Enter()]


@pytest.mark.parametrize(
    ("fact", "words", "why"),
    [
        (Denied(), Words.DENIED, "room_denied"),
        (Expelled(), Words.REMOVED, "removed_from_room"),
        (RoomOver(), Words.ENDED, "room_ended"),
        (None, Words.NOT_ADMITTED, "room_not_admitted"),
    ],
)
def test_who_waits_in_vain_hears_why(fact: VisitFact | None, words: Words, why: str) -> None:
    phone = dial_in()
    phone.press("123456789")
    phone(Judged(Opening("a-room", "lobby")))
    if fact is None:
        phone.now += LOBBY_S
    out = phone(fact or Tick())
    assert ShowPerson(Presence.LEFT, why) in out
    assert HoldMusic(False) in out
    assert phone.said == [words]
    assert phone.heard() == [EndCall(why), HangUp()]


def test_who_was_let_in_to_a_full_room_is_told_so_plainly() -> None:
    phone = dial_in()
    phone.press("123456789")
    phone(Judged(Opening("a-room", "lobby")), Admitted(), JoinFailed("full"))
    assert phone.said == [Words.CANNOT_JOIN]
    assert phone.heard() == [EndCall("room_full"), HangUp()]


@pytest.mark.parametrize("why", ["unreachable", "timeout"])
def test_a_media_server_that_is_away_is_no_wrong_number(why: str) -> None:
    phone = dial_in()
    phone.press("123456789")
    phone(Judged(ROOM), JoinFailed(why))
    assert phone.said == [Words.UNAVAILABLE]


@pytest.mark.parametrize("fact", [Expelled(), RoomOver()])
def test_who_is_put_out_at_the_door_does_not_come_in_meanwhile(fact: VisitFact) -> None:
    phone = dial_in()
    phone.press("123456789")
    phone(Judged(ROOM))
    assert Leave() in phone(fact)
    assert phone(Joined(1)) == []


# ---------------------------------------------------------------- keys


def test_star_six_mutes_and_speaks_the_state() -> None:
    phone = inside()
    out = phone.press("*6")
    assert out[:2] == [Mute(True), Describe({"muted": "true"})]
    assert phone.said == [Words.MUTED]
    out = phone.press("*6")
    assert out[:2] == [Mute(False), Describe({"muted": "false"})]
    assert phone.said == [Words.UNMUTED]


def test_a_host_mutes_and_the_telephone_may_unmute_as_a_browser_may() -> None:
    phone = inside()
    phone(RoomMuted(True))
    assert phone.said == [Words.HOST_MUTED]
    assert phone.press("*6")[:2] == [Mute(False), Describe({"muted": "false"})]
    assert phone(RoomMuted(False)) == [], "known already"


def test_a_host_takes_a_mute_back() -> None:
    phone = inside()
    phone(RoomMuted(True))
    assert Mute(False) in phone(RoomMuted(False))
    assert phone.said == [Words.UNMUTED]


def test_star_two_raises_and_lowers_the_hand() -> None:
    phone = inside()
    assert Describe({"hand_raised": "true"}) in phone.press("*2")
    assert phone.said == [Words.HAND_UP]
    assert Describe({"hand_raised": "false"}) in phone.press("*2")
    assert phone.said == [Words.HAND_DOWN]


def test_star_one_says_how_many_and_star_four_reads_the_keys() -> None:
    phone = inside()
    (say,) = phone.press("*1")
    assert isinstance(say, Say)
    assert (say.lines[0].words, say.lines[0].n) == (Words.COUNT, 3)
    phone(Others(0, False))
    phone.press("*1")
    assert phone.said == [Words.ALONE]
    phone.press("*4")
    assert phone.said == [Words.KEYS]


@pytest.mark.parametrize("keys", ["6", "*9", "##", "*", "**", "*A", "*#6", "*66"])
def test_other_keys_do_nothing(keys: str) -> None:
    phone = inside()
    phone.press(keys[:-1])
    assert phone.press(keys[-1]) == []


def test_a_star_waits_for_its_digit_for_five_seconds() -> None:
    phone = inside()
    phone.press("*")
    phone.now += 5.1
    assert phone.press("6") == []
    phone.press("*")
    phone.now += 4.9
    assert phone.said == []
    phone.press("6")
    assert phone.said == [Words.MUTED]


# ---------------------------------------------------------------- the recording


def test_a_recording_is_told_after_the_greeting() -> None:
    phone = dial_in()
    phone.press("123456789")
    phone(Judged(ROOM), Joined(2), Others(2, True))
    assert phone.out == []
    phone.heard()
    assert phone.said == [Words.RECORDED]
    assert phone.heard() == []


def test_a_notice_that_a_key_cuts_off_is_told_again() -> None:
    phone = inside()
    phone(Others(2, True))
    assert phone.said == [Words.RECORDED]
    notice = phone.visit.says
    phone.press("*6")
    assert phone.said == [Words.MUTED]
    assert phone(SoundsDone(notice, cut=True)) == []
    phone.heard()
    assert phone.said == [Words.RECORDED]
    assert phone.heard() == []


def test_a_recording_that_stops_is_told_too() -> None:
    phone = inside()
    phone(Others(2, True))
    phone.heard()
    phone(Others(3, True))
    assert phone.out == []
    phone(Others(3, False))
    assert phone.said == [Words.RECORDED_NO_MORE]
    phone(Others(3, True))
    assert phone.visit.notice


def test_a_recording_that_stopped_before_anybody_was_told_is_not_told() -> None:
    phone = dial_in()
    phone.press("123456789")
    phone(Judged(ROOM), Joined(2), Others(2, True), Others(2, False))
    assert phone.heard() == []


# ---------------------------------------------------------------- ends


def test_a_kick_is_told_and_holds_within_a_second() -> None:
    phone = inside()
    out = phone(Left("removed"))
    assert ShowPerson(Presence.LEFT, "removed_from_room") in out
    assert phone.said == [Words.REMOVED]
    kicked_at = phone.now
    assert phone.due() == [EndCall("removed_from_room"), HangUp()]
    assert phone.now == kicked_at + REMOVED_S
    assert REMOVED_S <= 0.7


@pytest.mark.parametrize(
    ("left", "words", "why"),
    [
        ("room_ended", Words.ENDED, "room_ended"),
        ("lost", Words.LOST, "room_lost"),
        ("replaced", Words.LOST, "room_lost"),
    ],
)
def test_who_is_left_without_a_room_hears_why(left: str, words: Words, why: str) -> None:
    phone = inside()
    phone(Left(left))
    assert phone.said == [words]
    assert phone.heard() == [EndCall(why), HangUp()]


def test_the_longest_time_is_over() -> None:
    phone = inside()
    phone.due()
    assert phone.now == 100.0 + 3600.0
    assert phone.said == [Words.LONGEST]
    assert phone.heard() == [EndCall("max_duration"), HangUp()]


# ---------------------------------------------------------------- called out


def test_a_telephone_is_called_and_joins_by_a_key() -> None:
    phone = ring()
    assert phone(CallRang()) == [ShowPerson(Presence.RINGING)]
    phone(Arrived())
    assert phone.said == [Words.ASK_CONSENT]
    phone.heard()
    assert phone.said == [Words.ASK_CONSENT]
    assert phone.press("5") == []
    assert phone.press("1")[-1] == Enter()
    assert ShowPerson(Presence.JOINED) in phone(Joined(1))


def test_an_answering_machine_joins_nothing() -> None:
    phone = ring()
    phone(CallRang(), Arrived())
    answered_at = phone.now
    out = phone.due()
    assert phone.now == answered_at + CONSENT_S
    assert {ShowPerson(Presence.LEFT, "room_not_joined"), TellFailed("room_not_joined")} <= set(out)
    assert phone.said == [Words.GOODBYE]
    assert phone.heard() == [EndCall("room_not_joined"), HangUp()]


def test_without_consent_an_answer_is_enough() -> None:
    phone = ring(consent=False)
    assert phone(Arrived()) == [Answer(), Enter()]


@pytest.mark.parametrize("why", ["busy", "no_answer", "declined", "failed"])
def test_a_call_in_vain_leaves_the_roster_and_is_told(why: str) -> None:
    phone = ring()
    out = phone(CallOver(why))
    assert {ShowPerson(Presence.LEFT, why), TellFailed(why)} <= set(out)
    assert phone.stage is Stage.OVER


@pytest.mark.parametrize(("fact", "why"), [(Expelled(), "removed_from_room"), (RoomOver(), "room_ended")])
def test_a_telephone_that_rings_is_cancelled(fact: VisitFact, why: str) -> None:
    phone = ring()
    phone(CallRang())
    out = phone(fact)
    assert out[-2:] == [EndCall(why), HangUp()]
    assert {ShowPerson(Presence.LEFT, why), TellFailed(why)} <= set(out)
    assert phone.said == []


def test_who_joined_and_left_was_not_called_in_vain() -> None:
    phone = ring(consent=False)
    phone(Arrived(), Joined(1))
    out = phone(CallOver("hangup"))
    assert ShowPerson(Presence.LEFT, "hangup") in out
    assert not any(isinstance(one, TellFailed) for one in out)
