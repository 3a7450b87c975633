"""A control token opens its own call until it ends; anything changed in it opens nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import NotAuthenticated
from telephony.ids import CallId, TenantId
from voice_agents.core.control_token import PREFIX, Control, issue, read

pytestmark = pytest.mark.unit

SECRET = b"s" * 32
CONTROL = Control(TenantId("ten_ours"), CallId("call_00000000000000000000000007"), 1_000)
TOKEN = issue(SECRET, CONTROL)


def _refusal(token: str, secret: bytes = SECRET, now: float = 0.0) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        read(secret, token, now)
    return caught.value.code


def test_it_says_what_it_opens():
    assert read(SECRET, TOKEN, 999.9) == CONTROL
    assert TOKEN.startswith(PREFIX)


def test_it_ends():
    assert _refusal(TOKEN, now=1_000.0) == "EXPIRED_TOKEN"


def test_another_installation_knows_nothing_of_it():
    assert _refusal(TOKEN, secret=b"t" * 32) == "INVALID_API_KEY"


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("AZaz09-_.=\n "))
def test_no_letter_of_it_can_be_changed(place: int, letter: str):
    changed = TOKEN[:place] + letter + TOKEN[place + 1 :]
    if changed != TOKEN:
        assert _refusal(changed) == "INVALID_API_KEY"


@given(st.text(max_size=500))
def test_any_other_text_is_none(text: str):
    assert _refusal(text) == "INVALID_API_KEY"
    assert _refusal(PREFIX + text) == "INVALID_API_KEY"


def test_the_seal_of_something_else_is_worth_nothing():
    other = issue(SECRET, Control(CONTROL.tenant, CallId("call_00000000000000000000000008"), 1_000))
    body = TOKEN.partition(".")[0]
    assert _refusal(f"{body}.{other.partition('.')[2]}") == "INVALID_API_KEY"


@pytest.mark.parametrize(
    "control", [Control(TenantId("a\nb"), CONTROL.call_id, 1), Control(CONTROL.tenant, CallId("call_1"), 1)]
)
def test_ids_that_could_be_read_otherwise_are_refused(control: Control):
    with pytest.raises(ValueError, match="one call"):
        issue(SECRET, control)
