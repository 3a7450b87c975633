"""What numbers are, by the numbering plans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.destination import Kind, describe
from gateway.policy.number_plan import (
    NumberPlan,
    ToAnnouncement,
    ToHold,
    ToNobody,
    ToNumber,
    ToPhone,
    plan_from,
    plan_to,
)
from telephony.numbers import E164

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "region", "kind"),
    [
        ("+14155552671", "US", Kind.FIXED_OR_MOBILE),
        ("+442079460000", "GB", Kind.FIXED),
        ("+447400123456", "GB", Kind.MOBILE),
        ("+18765551234", "JM", Kind.MOBILE),
        ("+18095551234", "DO", Kind.FIXED_OR_MOBILE),
        ("+16135550123", "CA", Kind.FIXED_OR_MOBILE),
        ("+18005551234", "US", Kind.TOLL_FREE),
    ],
)
def test_ordinary_numbers(text: str, region: str, kind: Kind):
    found = describe(text)
    assert (found.valid, found.region, found.kind, found.costly) == (True, region, kind, False)


@pytest.mark.parametrize(
    "text",
    [
        "+19005551234",
        "+448431234567",
        "+449012345678",
        "+881612345678",
        "+882161234567",
        "+870773111632",
        "+97912345678",
    ],
)
def test_costly_numbers(text: str):
    assert describe(text).costly


@pytest.mark.parametrize(
    "text", ["911", "112", "999", "000", "+1911", "+44999", "+49112", "+61000", "1 1 2", "1-1-2"]
)
def test_emergency_numbers_in_every_spelling(text: str):
    assert describe(text).emergency


@pytest.mark.parametrize("text", ["+14155552671", "+49301120", "+81112345678", "12345", "abc", ""])
def test_other_numbers_are_no_emergency(text: str):
    assert not describe(text).emergency


@pytest.mark.parametrize(
    "text", ["+1٤155552671", "4155552671", "+0123456789", "+1415555267a", "++14155552671", "+"]
)
def test_what_is_no_number(text: str):
    assert describe(text).number is None


@given(st.text(max_size=40))
def test_anything_can_be_asked(text: str):
    found = describe(text)
    assert (found.number is None) or found.number.reveal() == text


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_every_e164_is_described(text: str):
    found = describe(text)
    assert found.number is not None
    if found.valid:
        assert found.region is not None


ROUTES = st.one_of(
    st.none(),
    st.just(ToHold()),
    st.builds(ToPhone, st.text(max_size=9)),
    st.builds(ToNumber, st.just(E164("+14155552671"))),
    st.builds(ToAnnouncement, st.text(), st.text(), st.none() | st.text()),
    st.builds(ToNobody, st.integers(1, 127)),
)


@given(st.builds(NumberPlan, ROUTES, st.booleans(), st.none() | st.text(), st.booleans()))
def test_a_plan_survives_being_stored(plan: NumberPlan):
    assert plan_from(plan_to(plan)) == plan


@pytest.mark.parametrize(
    "stored", [None, {}, {"type": "fax"}, {"type": "phone"}, {"type": "reject", "cause": "x"}]
)
def test_what_nobody_can_read_is_no_route(stored: dict[str, object] | None):
    assert plan_from(stored) == NumberPlan()
