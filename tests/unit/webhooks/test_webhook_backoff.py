"""The table of answers: what is delivered, what is tried again and when, what is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webhooks.core.backoff import (
    DISABLE_AFTER_S,
    JITTER,
    MAX_PAUSE_S,
    MAX_RETRY_AFTER_S,
    SCHEDULE_S,
    THROTTLE_S,
    Delivered,
    GiveUp,
    NoReply,
    Reply,
    TryAgain,
    describe,
    is_beyond_hope,
    is_strain,
    judge,
    retry_after_s,
)

pytestmark = pytest.mark.unit

MIDDLE = 0.5  # the dice throw that changes nothing
NOW = 1_700_000_000.0
TIMEOUT = NoReply("timeout", "no answer within 15 s")


def test_the_schedule_is_as_published_and_runs_over_three_days() -> None:
    assert SCHEDULE_S == (0, 5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert sum(SCHEDULE_S) == 75 * 3600 + 36 * 60 + 5


@pytest.mark.parametrize(("attempts", "delay"), list(enumerate(SCHEDULE_S))[1:])
def test_each_failure_waits_for_its_place_in_the_schedule(attempts: int, delay: float) -> None:
    assert judge(Reply(500, {}), attempts, NOW, MIDDLE) == TryAgain(delay)
    assert judge(TIMEOUT, attempts, NOW, MIDDLE) == TryAgain(delay)


def test_after_the_last_attempt_the_delivery_is_dead() -> None:
    assert judge(TIMEOUT, len(SCHEDULE_S), NOW, MIDDLE) == GiveUp("exhausted")


@given(attempts=st.integers(1, len(SCHEDULE_S) - 1), chance=st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_its_share(attempts: int, chance: float) -> None:
    verdict = judge(Reply(500, {}), attempts, NOW, chance)
    assert isinstance(verdict, TryAgain)
    planned = SCHEDULE_S[attempts]
    assert planned * (1 - JITTER) <= verdict.delay_s <= planned * (1 + JITTER) + 0.001


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_alone_is_success(status: int) -> None:
    assert judge(Reply(status, {}), 1, NOW, MIDDLE) == Delivered()


@pytest.mark.parametrize(
    "status", [100, 199, 300, 301, 302, 303, 307, 308, 400, 401, 404, 409, 422, 500, 503]
)
def test_everything_else_is_a_failure_without_a_pause(status: int) -> None:
    assert judge(Reply(status, {"location": "http://127.0.0.1/"}), 1, NOW, MIDDLE) == TryAgain(5)


@pytest.mark.parametrize("status", [429, 502, 504])
def test_throttling_answers_pause_the_whole_receiver(status: int) -> None:
    assert judge(Reply(status, {}), 1, NOW, MIDDLE) == TryAgain(5, THROTTLE_S)


def test_410_ends_the_delivery_and_the_endpoint() -> None:
    assert judge(Reply(410, {}), 1, NOW, MIDDLE) == GiveUp("gone", endpoint_gone=True)


def test_a_receiver_may_abort_one_message() -> None:
    answer = Reply(500, {"webhook-delivery": "Abort-Message"})
    assert judge(answer, 1, NOW, MIDDLE) == GiveUp("aborted")


def test_our_own_refusal_is_final() -> None:
    assert judge(NoReply("refused", "port 443"), 1, NOW, MIDDLE) == GiveUp("refused")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("999999", MAX_RETRY_AFTER_S),
        ("9" * 400, MAX_RETRY_AFTER_S),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60),
        ("Tue, 14 Nov 2000 22:14:20 GMT", 0),
        ("Tue, 14 Nov 2100 22:14:20 GMT", MAX_RETRY_AFTER_S),
        ("", 0),
        ("soon", 0),
        ("-3", 0),
        ("1.5", 0),
        ("٣", 0),
        ("Tue, 99 Nov 2023 99:99:99 GMT", 0),
    ],
)
def test_retry_after_is_read_and_bounded(header: str, seconds: float) -> None:
    assert retry_after_s(header, NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_header_breaks_the_judge(header: str) -> None:
    assert 0 <= retry_after_s(header, NOW) <= MAX_RETRY_AFTER_S


def test_retry_after_can_only_lengthen_the_wait() -> None:
    assert judge(Reply(503, {"retry-after": "120"}), 1, NOW, MIDDLE) == TryAgain(120, 120)
    assert judge(Reply(429, {"retry-after": "120"}), 4, NOW, MIDDLE) == TryAgain(1800, 120)
    assert judge(Reply(429, {"retry-after": "86400"}), 1, NOW, MIDDLE) == TryAgain(86400, MAX_PAUSE_S)


def test_an_endpoint_is_given_up_after_five_days_of_failure() -> None:
    assert not is_beyond_hope(NOW, NOW + DISABLE_AFTER_S - 1)
    assert is_beyond_hope(NOW, NOW + DISABLE_AFTER_S)


def test_strain_is_silence_or_an_overloaded_gateway() -> None:
    assert is_strain(TIMEOUT)
    assert is_strain(Reply(503, {}))
    assert not is_strain(Reply(500, {}))
    assert not is_strain(NoReply("refused", "private"))


def test_answers_describe_themselves() -> None:
    assert describe(Reply(302, {})) == "HTTP 302 (redirects are not followed)"
    assert describe(Reply(500, {})) == "HTTP 500"
    assert describe(TIMEOUT) == "timeout: no answer within 15 s"
    assert len(describe(NoReply("tls", "x" * 1000))) == 300
