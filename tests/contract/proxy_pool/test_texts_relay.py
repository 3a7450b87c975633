"""Texts go to the right person, from the number that person knows, or nowhere: over every store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text as sql_text

from proxy_pool.core.number import Use
from proxy_pool.core.opening import seat_people
from proxy_pool.core.party import PhoneParty
from proxy_pool.core.reassembly import PATIENCE_S
from proxy_pool.core.relay import EXPIRES_S, PHONES
from proxy_pool.core.session import Channel, Flow, Model, PinMode, Redaction, Session, Terms
from proxy_pool.core.settings import ServiceSettings, TextAnswers
from proxy_pool.core.text import Media, OutboundText, Receipt, ReceiptState
from proxy_pool.texts.ports import CarrierRefused
from telephony.errors import OutcomeUnknown
from telephony.numbers import E164
from tests.contract.proxy_pool.ledger_rig import (
    ANN,
    BOB,
    CARL,
    DORA,
    ONE,
    OURS,
    THREE,
    TWO,
    Books,
    close,
    doors,
)
from tests.contract.proxy_pool.texts_rig import NOW, TextRig, anyone_session, part, store_of, text

pytestmark = pytest.mark.contract


@pytest.fixture
async def rig(books: Books) -> TextRig:
    return TextRig(books, store_of(books))


def seen(texts: list[OutboundText]) -> list[tuple[E164, E164, str]]:
    """(shown, receiver, words)."""
    return [(one.sender, one.to, one.body) for one in texts]


async def only(rig: TextRig, session: Session) -> tuple[str, str]:
    (one,) = await rig.interactions(session)
    return one.status, one.outcome


# ---------------------------------------------------------------- between two people


async def test_two_people_write_to_each_other_and_see_only_the_numbers_they_know(rig: TextRig) -> None:
    session = await rig.session()
    sent = await rig.passes(text("hi Bob", ANN, ONE), text("hi Ann", BOB, TWO))
    assert sorted(seen(sent)) == [(ONE, ANN, "hi Ann"), (TWO, BOB, "hi Bob")]
    both = await rig.interactions(session)
    assert sorted((one.from_seat, one.to_seat, one.status, one.segments) for one in both) == [
        (0, 1, "sent", 1),
        (1, 0, "sent", 1),
    ]
    assert (await rig.told()).count("message.received") == 2
    assert all(ANN.reveal() not in str(one) and BOB.reveal() not in str(one) for one in sent)


async def test_the_relayed_texts_receipts_end_in_its_interaction(rig: TextRig) -> None:
    session = await rig.session()
    await rig.passes(text("hi"))
    await rig.relay().take_in((), [Receipt("sim", "prov-1", ReceiptState.DELIVERED, "", NOW + 4)])
    (one,) = await rig.interactions(session)
    assert (one.status, one.ended_at, one.subject) == ("delivered", NOW + 4, f"msg_{one.id[4:]}")
    assert await rig.told() == ["message.received", "message.sent", "message.delivered"]


async def test_a_text_delivered_twice_is_relayed_once(rig: TextRig) -> None:
    session = await rig.session()
    one = text("hi", message_id="m-twice")
    sent = await rig.passes(one, one)
    sent = await rig.passes(one)
    assert len(sent) == 1
    assert len(await rig.interactions(session)) == 1


async def test_texts_of_a_conversation_keep_their_order(rig: TextRig) -> None:
    await rig.session()
    words = [f"word {n}" for n in range(12)]
    for n, word in enumerate(words):
        rig.now = NOW + n / 10
        await rig.relay().take_in([text(word)], ())
    sent = await rig.passes()
    assert [one.body for one in sent] == words


async def test_a_long_text_in_parts_is_relayed_whole(rig: TextRig) -> None:
    session = await rig.session()
    sent = await rig.passes(part(2, 2, "b" * 40), part(1, 2, "a" * 153))
    assert [one.body for one in sent] == ["a" * 153 + "b" * 40]
    (one,) = await rig.interactions(session)
    assert one.segments == 2


async def test_an_incomplete_long_text_goes_out_flagged(rig: TextRig) -> None:
    session = await rig.session()
    assert await rig.passes(part(1, 2, "first half")) == []
    rig.now = NOW + PATIENCE_S
    assert [one.body for one in await rig.passes()] == ["first half"]
    (one,) = await rig.interactions(session)
    assert one.flags == ("incomplete",)


# ---------------------------------------------------------------- nowhere


@pytest.mark.parametrize(
    ("sender", "why"),
    [
        (CARL, "unknown_sender"),
        ("+1", "no_number"),
        ("40404", "no_number"),
        ("911", "no_number"),
        ("4155550001", "no_number"),
        ("ACME", "no_number"),
        ("", "no_number"),
        ("phone:alice", "no_number"),
        (TWO, "loop"),
        (ONE, "loop"),
    ],
)
async def test_a_stranger_a_code_a_name_and_a_proxy_number_reach_nobody_and_hear_nothing(
    rig: TextRig, sender: E164 | str, why: str
) -> None:
    session = await rig.session()
    relay = rig.relay()
    await relay.take_in([text("who is this?", sender)], ())
    await relay.judge_due()
    assert await rig.pumped() == []
    assert await rig.interactions(session) == []
    assert relay.counts[why] == 1


async def test_a_number_that_is_not_ours_relays_nothing(rig: TextRig) -> None:
    relay = rig.relay()
    await relay.take_in([text("hi", ANN, E164("+14155559999"))], ())
    await relay.judge_due()
    assert relay.counts["not_ours"] == 1


async def test_a_closed_and_an_expired_session_look_like_none(rig: TextRig) -> None:
    session = await rig.session()
    rig.now = session.ends_at
    assert await rig.passes(text("late")) == []
    rig.now = NOW
    await close(rig.books, session)
    assert await rig.passes(text("after the end")) == []
    assert await rig.interactions(session) == []


REFUSED = [
    ({"channels": frozenset({Channel.VOICE})}, "channel_not_allowed"),
    ({"flow": Flow.B_TO_A}, "direction_not_allowed"),
    ({"pin_mode": PinMode.ALWAYS}, "pin_required"),
]


@pytest.mark.parametrize(("terms", "why"), REFUSED)
async def test_what_the_terms_forbid_is_refused_and_recorded(
    rig: TextRig, terms: dict[str, object], why: str
) -> None:
    session = await rig.session(terms=Terms(ttl_s=3600, **terms))  # type: ignore[arg-type]
    assert await rig.passes(text("hi")) == []
    assert await only(rig, session) == ("refused", why)
    assert await rig.told() == ["interaction.refused"]
    (one,) = await rig.interactions(session)
    assert one.over


async def test_a_text_beyond_ten_segments_is_refused_not_cut(rig: TextRig) -> None:
    session = await rig.session()
    assert await rig.passes(text("a" * 1531)) == []
    assert await only(rig, session) == ("refused", "too_long")


async def test_a_proxy_number_without_a_carrier_for_texts_is_refused(rig: TextRig) -> None:
    session = await rig.session()
    rig.carrier = ""
    assert await rig.passes(text("hi")) == []
    assert await only(rig, session) == ("refused", "no_carrier")


# ---------------------------------------------------------------- models


async def test_anybody_writes_to_the_person_behind_an_open_number_and_stays_hidden(rig: TextRig) -> None:
    session = anyone_session(1)
    await rig.books.pool.change(replace((await rig.books.pool.numbers())[0], use=Use.ANYONE))
    rig.uses[ONE] = Use.ANYONE
    await rig.books.ledger.open(session, doors(session), ())
    sent = await rig.passes(text("is it free?", CARL), text("me too", DORA))
    assert sorted(seen(sent)) == [(ONE, ANN, "is it free?"), (ONE, ANN, "me too")]
    assert {one.from_seat for one in await rig.interactions(session)} == {-1}
    assert len(await rig.passes(text("yes", ANN))) == 2, "whom the answer is for nobody can tell"
    last = (await rig.interactions(session))[-1]
    assert (last.status, last.outcome) == ("refused", "nobody_to_reach")


async def test_party_a_of_an_open_number_writes_to_the_temporary_callee(rig: TextRig) -> None:
    session = anyone_session(1, BOB)
    await rig.books.pool.change(replace((await rig.books.pool.numbers())[0], use=Use.ANYONE))
    rig.uses[ONE] = Use.ANYONE
    await rig.books.ledger.open(session, doors(session), ())
    await rig.passes(text("a visitor", CARL))
    sent = await rig.passes(text("hello Bob", ANN), text("hello Ann", BOB))
    assert sorted(seen(sent)) == [(ONE, ANN, "a visitor"), (ONE, ANN, "hello Ann"), (ONE, BOB, "hello Bob")]


async def test_in_a_group_members_reach_a_and_a_reaches_who_wrote_last(rig: TextRig) -> None:
    people = seat_people([(ANN, ONE, ""), (BOB, TWO, ""), (CARL, THREE, "")])
    session = await rig.session(model=Model.GROUP, participants=people)
    await rig.passes(text("from Bob", BOB, TWO))
    rig.now = NOW + 1
    await rig.passes(text("from Carl", CARL, THREE))
    rig.now = NOW + 2
    await rig.passes(text("to Carl"))
    rig.now = NOW + 3
    await rig.passes(text("again Bob", BOB, TWO))
    rig.now = NOW + 4
    sent = await rig.passes(text("to Bob"))
    assert seen(sent) == [
        (ONE, ANN, "from Bob"),
        (ONE, ANN, "from Carl"),
        (THREE, CARL, "to Carl"),
        (ONE, ANN, "again Bob"),
        (TWO, BOB, "to Bob"),
    ]
    assert len(await rig.interactions(session)) == 5


async def test_a_registered_phone_writes_and_is_written_to_over_the_switch(rig: TextRig) -> None:
    people = seat_people([(PhoneParty("alice"), ONE, ""), (BOB, TWO, "")])
    await rig.session(participants=people)
    sent = await rig.passes(
        text("from alice", "phone:alice", ONE, carrier=PHONES), text("to alice", BOB, TWO)
    )
    assert sorted((carrier, one.to, one.phone, one.body) for carrier, one in rig.sender.sent) == [
        (PHONES, ONE, "alice", "to alice"),
        ("sim", BOB, "", "from alice"),
    ]
    assert len(sent) == 2


# ---------------------------------------------------------------- stop words


async def test_stop_is_answered_once_never_relayed_and_holds_for_all_numbers(rig: TextRig) -> None:
    session = await rig.session()
    other = await rig.session(2, b=CARL, proxies=(THREE, TWO))
    sent = await rig.passes(text("STOP"))
    rig.now = NOW + 1
    sent = await rig.passes(text("Stop."))
    assert seen(sent) == [(ONE, ANN, ServiceSettings().answers.stop)]
    sent = await rig.passes(text("are you there?", BOB, TWO), text("and here?", CARL, TWO))
    assert len(sent) == 1
    refused = [one for one in await rig.interactions(session) if one.status == "refused"]
    assert [one.outcome for one in refused] == ["opted_out"]
    assert [one.outcome for one in await rig.interactions(other)] == ["opted_out"]
    assert (await rig.told()).count("message.opt_out") == 1


async def test_who_stopped_is_back_with_yes_and_yes_is_an_answer_otherwise(rig: TextRig) -> None:
    await rig.session()
    sent = await rig.passes(text("yes"))
    assert seen(sent) == [(TWO, BOB, "yes")]
    answers = []
    for at, word in enumerate(("stop", "yes", "yes")):
        rig.now = NOW + 1 + at
        answers = seen(await rig.passes(text(word)))
    assert answers[1:] == [
        (ONE, ANN, ServiceSettings().answers.stop),
        (ONE, ANN, ServiceSettings().answers.start),
        (TWO, BOB, "yes"),
    ]


async def test_help_is_answered_once_an_hour(rig: TextRig) -> None:
    await rig.session()
    for at in (0, 10, 3599, 3600):
        rig.now = NOW + at
        await rig.passes(text("help"))
    assert seen([one for _, one in rig.sender.sent]) == [(ONE, ANN, ServiceSettings().answers.help)] * 2


async def test_a_carrier_that_answered_itself_is_not_doubled_and_its_word_holds(rig: TextRig) -> None:
    session = await rig.session()
    assert await rig.passes(text("Desuscribir", opt_out="stop")) == []
    assert await rig.passes(text("hello?", BOB, TWO)) == []
    assert [one.outcome for one in await rig.interactions(session)][-1] == "opted_out"


async def test_a_stranger_may_stop_too_and_learns_nothing(rig: TextRig) -> None:
    rig.settings = ServiceSettings(answers=TextAnswers(stop="Stopped."))
    session = await rig.session()
    assert seen(await rig.passes(text("STOP", CARL))) == [(ONE, CARL, "Stopped.")]
    assert await rig.interactions(session) == []
    assert (await rig.store.standing(OURS, CARL.reveal())).opted_out


async def test_a_text_on_its_way_to_somebody_who_stops_is_not_sent(rig: TextRig) -> None:
    session = await rig.session()
    relay = rig.relay()
    await relay.take_in([text("hi Bob")], ())
    await relay.judge_due()
    await relay.take_in([text("STOP", BOB, TWO)], ())
    await relay.judge_due()
    assert seen(await rig.pumped()) == [(TWO, BOB, ServiceSettings().answers.stop)]
    assert ("rejected", "opted_out") in {(o.status, o.outcome) for o in await rig.interactions(session)}


# ---------------------------------------------------------------- redaction, bodies, media


@pytest.mark.parametrize(
    ("mode", "words", "status", "flags"),
    [
        (Redaction.OFF, "call 415-555-0123", "sent", ()),
        (Redaction.MASK, "call ***", "sent", ("number",)),
        (Redaction.FLAG, "call 415-555-0123", "sent", ("number",)),
        (Redaction.BLOCK, None, "blocked", ("number",)),
    ],
)
async def test_redaction_does_what_the_session_says(
    rig: TextRig, mode: Redaction, words: str | None, status: str, flags: tuple[str, ...]
) -> None:
    rig.settings = ServiceSettings(keep_bodies=True)
    session = await rig.session(terms=Terms(ttl_s=3600, redaction=mode))
    sent = await rig.passes(text("call 415-555-0123"))
    assert [one.body for one in sent] == ([] if words is None else [words])
    (one,) = await rig.interactions(session)
    assert (one.status, one.flags, one.body) == (status, flags, words or "")
    assert ("message.blocked" in await rig.told()) is (status == "blocked")


async def test_bodies_are_gone_once_they_were_relayed(rig: TextRig) -> None:
    session = await rig.session()
    await rig.passes(text("the secret word"), text("xyzzy", CARL), part(1, 2, "secret part"))
    assert (await rig.interactions(session))[0].body == ""
    if rig.books.database is None:
        return
    for table in ("texts_in", "texts_out"):
        rows = await rig.books.database.read(
            lambda conn, table=table: conn.execute(sql_text(f"SELECT state, body FROM {table}")).all()  # type: ignore[misc]
        )
        assert rows
        assert {body for state, body in rows if state != "held"} == {""}


async def test_attachments_go_along_cleaned_and_the_unfit_are_left_out(rig: TextRig) -> None:
    session = await rig.session()
    media = (Media("https://c/good"), Media("https://c/bad"))
    (one,) = await rig.passes(text("look", media=media))
    assert [m.url.startswith("https://gateway.example/media/") for m in one.media] == [True]
    (told,) = await rig.interactions(session)
    assert (told.media, told.flags) == (1, ("media_removed",))


async def test_a_picture_alone_that_is_unfit_leaves_nothing_to_relay(rig: TextRig) -> None:
    session = await rig.session()
    assert await rig.passes(text("", media=(Media("https://c/bad"),))) == []
    assert await only(rig, session) == ("refused", "nothing_to_relay")


async def test_a_text_waits_while_its_attachment_cannot_be_fetched(rig: TextRig) -> None:
    session = await rig.session()
    rig.media.away = True
    assert await rig.passes(text("look", media=(Media("https://c/good"),))) == []
    rig.media.away, rig.now = False, NOW + 6
    assert len(await rig.passes()) == 1
    assert await only(rig, session) == ("sent", "")


# ---------------------------------------------------------------- carriers


async def test_what_a_carrier_refuses_for_good_fails_with_its_word(rig: TextRig) -> None:
    session = await rig.session()
    rig.sender.answers = [CarrierRefused("21610", permanent=True)]
    assert await rig.passes(text("hi")) == []
    assert await only(rig, session) == ("failed", "21610")
    assert await rig.told() == ["message.received", "message.failed"]


async def test_a_lost_answer_is_asked_again_with_the_same_id(rig: TextRig) -> None:
    session = await rig.session()
    rig.sender.answers = [OutcomeUnknown("no answer")]
    assert await rig.passes(text("hi")) == []
    rig.now = NOW + 10
    (one,) = await rig.pumped()
    (told,) = await rig.interactions(session)
    assert (one.id, told.status) == (told.subject, "sent")


async def test_a_text_that_no_carrier_takes_in_time_expires(rig: TextRig) -> None:
    session = await rig.session()
    relay = rig.relay()
    await relay.take_in([text("hi")], ())
    await relay.judge_due()
    rig.now = NOW + EXPIRES_S + 1
    assert await rig.pumped() == []
    assert await only(rig, session) == ("expired", "not_sent_in_time")


async def test_letters_that_no_database_takes_do_not_make_the_carrier_ask_for_ever(rig: TextRig) -> None:
    await rig.session()
    sent = await rig.passes(text("a\0b\ud800c"))
    assert [one.body for one in sent] == ["ab?c"]
