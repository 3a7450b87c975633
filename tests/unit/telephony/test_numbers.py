"""Numbers that do not leak, and are numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import InvalidInput
from telephony.numbers import E164, mask, mask_text

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    ["", "14155552671", "+0155552671", "+1415", "+1415555267100000", "+1 415 555 2671", "+1415555267a",
     "+1٢٣٤٥٦٧٨", "+14155552671\n", "+１４１５５５５２６７１"],
)  # fmt: skip
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        E164(text)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_number_shows_itself_only_when_asked(digits: str) -> None:
    number = E164(digits)
    assert number.reveal() == digits
    for shown in (repr(number), str(number), f"{number}", repr([number]), repr({"to": number})):
        assert digits[1:] not in shown


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), st.text(alphabet="abc ,;:()", max_size=20))
def test_no_number_survives_in_text(digits: str, around: str) -> None:
    assert digits not in mask_text(f"{around}{digits}{around}")


def test_a_mask_keeps_the_length() -> None:
    assert mask("+14155552671") == "+141••••••71"
    assert mask("12345") == "•••••"
