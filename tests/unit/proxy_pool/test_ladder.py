"""The ladder of the unknown caller: every walk explored; the same for whoever has no way in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from proxy_pool.core.ladder import TRIES, Heard, Progress, Rung, hear, participant, stranger, turned_away
from proxy_pool.core.number import Use
from proxy_pool.core.settings import UnknownCallers
from telephony.numbers import E164

pytestmark = pytest.mark.unit

FULL = UnknownCallers(
    intercept_url="https://app.example/i",
    ask_pin=True,
    callback_url="https://app.example/c",
    fallback=E164("+14155550199"),
    announcement="tts/sorry",
)
MOST_STEPS = 1 + TRIES + 3
"""The intercept, one question, callback, fallback, announcement."""


def every_setting() -> Iterator[UnknownCallers]:
    for intercept, pin, callback, fallback, said, fail_open in product((False, True), repeat=6):
        yield UnknownCallers(
            intercept_url=FULL.intercept_url if intercept else "",
            ask_pin=pin,
            callback_url=FULL.callback_url if callback else "",
            fallback=FULL.fallback if fallback else None,
            announcement=FULL.announcement if said else "",
            fail_open=fail_open,
        )


def every_start() -> Iterator[Progress]:
    for unknown in every_setting():
        yield from (stranger(unknown, use) for use in Use)
        yield from (participant(unknown, proof=proof) for proof in (False, True))


def walk(progress: Progress, *heard: Heard) -> Progress:
    for one in heard:
        progress = hear(progress, one)
    return progress


def weight(progress: Progress) -> tuple[int, int]:
    return len(progress.rungs), progress.tries


def test_every_walk_ends_within_bounds_and_no_step_leads_back() -> None:
    for start in every_start():
        wave, seen = [(start, 0)], {start}
        while wave:
            progress, steps = wave.pop()
            assert steps <= MOST_STEPS
            if progress.over:
                assert all(hear(progress, heard) == progress for heard in Heard)
                continue
            for heard in Heard:
                after = hear(progress, heard)
                assert weight(after) < weight(progress)
                if after not in seen:
                    seen.add(after)
                    wave.append((after, steps + 1))


def test_a_stranger_is_connected_only_where_a_session_was_found() -> None:
    for unknown in every_setting():
        for use in Use:
            wave = [stranger(unknown, use)]
            while wave:
                progress = wave.pop()
                for heard in Heard:
                    after = hear(progress, heard)
                    if after.rung is Rung.CONNECT and progress.rung is not Rung.CONNECT:
                        assert heard is Heard.FOUND
                    elif not after.over:
                        wave.append(after)


def test_the_order_of_the_rungs() -> None:
    tail = (Rung.CALLBACK, Rung.FALLBACK, Rung.ANNOUNCEMENT, Rung.REJECT)
    assert stranger(FULL, Use.PAIRS).rungs == (Rung.INTERCEPT, Rung.PIN, *tail)
    assert stranger(FULL, Use.EXTENSIONS).rungs == (Rung.INTERCEPT, Rung.EXTENSION, *tail)
    assert stranger(FULL, Use.ANYONE).rungs == (Rung.INTERCEPT, *tail)
    assert participant(FULL, proof=True).rungs == (Rung.INTERCEPT, Rung.PROOF, *tail)
    assert participant(FULL, proof=False).rungs == (Rung.INTERCEPT, Rung.CONNECT)
    assert stranger(UnknownCallers(), Use.PAIRS).rungs == (Rung.REJECT,)


def test_a_question_is_asked_three_times_and_says_so() -> None:
    asked = stranger(UnknownCallers(ask_pin=True), Use.PAIRS)
    seen = [(asked.rung, asked.again)]
    for _ in range(TRIES):
        asked = hear(asked, Heard.WRONG)
        seen.append((asked.rung, asked.again))
    assert seen == [(Rung.PIN, False), (Rung.PIN, True), (Rung.PIN, True), (Rung.REJECT, False)]


def test_who_cannot_prove_to_be_a_participant_meets_what_a_stranger_meets() -> None:
    known, unknown = participant(FULL, proof=True), stranger(FULL, Use.PAIRS)
    for heard in (Heard.PASS, *[Heard.WRONG] * TRIES, Heard.PASS, Heard.WRONG, Heard.WRONG):
        known, unknown = hear(known, heard), hear(unknown, heard)
        same = {Rung.PROOF: Rung.PIN}
        assert same.get(known.rung, known.rung) is unknown.rung
        assert known.again == unknown.again
    assert known.rung is Rung.REJECT


@pytest.mark.parametrize("start", [stranger(FULL, Use.PAIRS), participant(FULL, proof=False)])
def test_the_application_can_block_anybody(start: Progress) -> None:
    blocked = hear(start, Heard.BLOCK)
    assert (blocked.rung, blocked.why) == (Rung.REJECT, "blocked")


@pytest.mark.parametrize("fail_open", [False, True])
def test_a_silent_application_lets_go_on_or_stops_as_the_setting_says(fail_open: bool) -> None:
    unknown = UnknownCallers(
        intercept_url="https://a.example/", callback_url="https://a.example/", fail_open=fail_open
    )
    after = hear(participant(unknown, proof=False), Heard.AWAY)
    assert after.rung is (Rung.CONNECT if fail_open else Rung.REJECT)
    asked = walk(stranger(unknown, Use.PAIRS), Heard.PASS)
    assert asked.rung is Rung.CALLBACK
    assert hear(asked, Heard.AWAY).why == ("unknown_caller" if fail_open else "hook_unavailable")


def test_the_application_connects_speaks_or_says_nothing() -> None:
    asked = stranger(UnknownCallers(callback_url="https://a.example/", fallback=FULL.fallback), Use.PAIRS)
    rungs = {heard: hear(asked, heard).rung for heard in Heard}
    assert rungs == {
        Heard.FOUND: Rung.CONNECT,
        Heard.SPEAK: Rung.SAY,
        Heard.PASS: Rung.FALLBACK,
        Heard.BLOCK: Rung.REJECT,
        Heard.AWAY: Rung.REJECT,
        Heard.WRONG: Rung.REJECT,
    }


def test_a_fallback_that_cannot_be_had_leads_on() -> None:
    asked = stranger(UnknownCallers(fallback=FULL.fallback, announcement="tts/sorry"), Use.ANYONE)
    assert hear(asked, Heard.WRONG).rung is Rung.ANNOUNCEMENT
    assert walk(asked, Heard.WRONG, Heard.WRONG).rung is Rung.REJECT


def test_turning_away_is_a_rejection_like_any_other() -> None:
    assert turned_away("too_many_calls").rung is stranger(UnknownCallers(), Use.PAIRS).rung


def test_the_own_pin_lets_a_participant_through() -> None:
    assert walk(participant(FULL, proof=True), Heard.PASS, Heard.WRONG, Heard.FOUND).rung is Rung.CONNECT
