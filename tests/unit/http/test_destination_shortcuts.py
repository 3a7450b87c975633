"""What ``describe`` leaves out to be quick, it leaves out rightly."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import shortnumberinfo
from phonenumbers.shortdata import _AVAILABLE_REGION_CODES

from gateway.policy.destination import _LONGEST_EMERGENCY, describe

pytestmark = pytest.mark.unit


def test_no_country_has_a_longer_emergency_number():
    assert len(_AVAILABLE_REGION_CODES) > 200
    for region in _AVAILABLE_REGION_CODES:
        emergency = phonenumbers.PhoneMetadata.short_metadata_for_region(region).emergency
        if emergency is None:
            continue
        lengths = emergency.possible_length or (3,)
        assert max(lengths) <= _LONGEST_EMERGENCY, region
    assert shortnumberinfo.is_emergency_number("911", "US")


@given(st.from_regex(r"\+(1|44|49|33|81|870|881|800|7|61)[2-9][0-9]{6,10}", fullmatch=True))
def test_valid_means_what_the_library_means(text: str):
    found = describe(text)
    if found.number is None:
        return
    parsed = phonenumbers.parse(text, None)
    assert found.valid is phonenumbers.is_valid_number(parsed)
    if found.valid:
        assert phonenumbers.is_possible_number(parsed)
