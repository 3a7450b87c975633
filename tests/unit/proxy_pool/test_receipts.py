"""Receipts in any order lead to one truth."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pool.core.receipts import RANK, advance, after, is_failure, is_final
from proxy_pool.core.text import Receipt, ReceiptState

pytestmark = pytest.mark.unit

STATES = st.sampled_from(list(ReceiptState))
FAILURES = [state for state in ReceiptState if is_failure(state)]


def told(*states: ReceiptState) -> tuple[Receipt, ...]:
    return tuple(Receipt("c", "m", state, error=f"e-{state}") for state in states)


@given(STATES, STATES)
def test_a_report_never_leads_backwards(state: ReceiptState, report: ReceiptState):
    assert RANK[advance(state, "", report)[0]] == max(RANK[state], RANK[report])


@given(st.lists(STATES, max_size=6), st.randoms())
def test_order_and_repetition_do_not_change_how_far_it_came(reports: list[ReceiptState], chance: object):
    mixed = reports + reports[:2]
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    first, _ = after(ReceiptState.QUEUED, "", told(*reports))
    second, _ = after(ReceiptState.QUEUED, "", told(*mixed))
    assert RANK[first] == RANK[second]
    assert after(first, "e", told(*reports)) == (first, "e")


@pytest.mark.parametrize(("one", "other"), list(permutations(FAILURES, 2)))
def test_of_two_failures_the_first_stays_with_its_error(one: ReceiptState, other: ReceiptState):
    assert after(ReceiptState.SENT, "", told(one, other)) == (one, f"e-{one}")


@pytest.mark.parametrize("failure", FAILURES)
def test_a_late_delivery_mends_a_failure_and_nothing_takes_it_back(failure: ReceiptState):
    assert after(ReceiptState.SENT, "", told(failure, ReceiptState.DELIVERED)) == (
        ReceiptState.DELIVERED,
        "",
    )
    assert after(ReceiptState.SENT, "", told(ReceiptState.DELIVERED, failure)) == (
        ReceiptState.DELIVERED,
        "",
    )


def test_a_receipt_may_overtake_the_news_that_it_was_sent():
    assert after(ReceiptState.QUEUED, "", told(ReceiptState.DELIVERED, ReceiptState.SENT))[0] is (
        ReceiptState.DELIVERED
    )


def test_what_is_final():
    assert {state for state in ReceiptState if is_final(state)} == {*FAILURES, ReceiptState.DELIVERED}


def test_an_error_names_no_number_and_cannot_break_a_line():
    state, error = advance(
        ReceiptState.SENT, "", ReceiptState.FAILED, "bad 'To': +1 415 555 0123\r\nX" + "y" * 300
    )
    assert state is ReceiptState.FAILED
    assert "555" not in error
    assert error.isprintable()
    assert len(error) <= 120
    assert advance(ReceiptState.SENT, "", ReceiptState.FAILED, "30003")[1] == "30003"
