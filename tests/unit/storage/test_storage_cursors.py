"""Cursors come back as they went, and nothing else comes through."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.storage.cursors import Cursors, Position
from gateway.storage.paging import scope_of
from telephony.errors import MalformedRequest

pytestmark = pytest.mark.unit

CURSORS = Cursors(b"a secret of the tests, 32 bytes!!")
SCOPE = scope_of("calls", "tnt_1", None)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

positions = st.builds(
    Position,
    st.integers(0, 2**52),
    st.text(ALPHABET, min_size=1, max_size=60).map(lambda text: f"call_{text}"),
)


@given(positions, st.text(max_size=50))
def test_a_cursor_opens_to_the_position_it_was_sealed_with(position: Position, tenant: str) -> None:
    scope = repr(("calls", tenant))
    assert CURSORS.open(CURSORS.seal(position, scope), scope) == position


@given(positions, st.data())
def test_any_other_text_of_a_cursor_s_kind_is_refused(position: Position, draw: st.DataObject) -> None:
    sealed = CURSORS.seal(position, SCOPE)
    at = draw.draw(st.integers(0, len(sealed) - 1))
    other = draw.draw(st.sampled_from(ALPHABET).filter(lambda letter: letter != sealed[at]))
    for forged in (sealed[:at] + other + sealed[at + 1 :], sealed[:at], sealed + other, sealed[at + 1 :]):
        with pytest.raises(MalformedRequest) as caught:
            CURSORS.open(forged, SCOPE)
        assert (caught.value.code, caught.value.field) == ("INVALID_CURSOR", "cursor")


@given(st.text(max_size=500))
@example("")
@example("=")
@example("A" * 100_000)
@example("é" * 40)
@example("\ud800")
def test_any_text_at_all_is_refused_politely(text: str) -> None:
    with pytest.raises(MalformedRequest):
        CURSORS.open(text, SCOPE)


@given(positions)
def test_a_cursor_of_another_list_tenant_filter_or_secret_is_refused(position: Position) -> None:
    sealed = CURSORS.seal(position, SCOPE)
    others = [
        scope_of("numbers", "tnt_1", None),
        scope_of("calls", "tnt_2", None),
        scope_of("calls", "tnt_1", "x"),
    ]
    for scope in others:
        with pytest.raises(MalformedRequest):
            CURSORS.open(sealed, scope)
    with pytest.raises(MalformedRequest):
        Cursors(b"another secret").open(sealed, SCOPE)


@given(positions)
def test_the_same_cursor_spelt_with_loose_bits_is_refused(position: Position) -> None:
    """The last letter of base64 has bits that decoding drops: they must not make a second spelling."""
    sealed = CURSORS.seal(position, SCOPE)
    raw = urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    for letter in ALPHABET:
        spelt = sealed[:-1] + letter
        if spelt != sealed and urlsafe_b64decode(spelt + "=" * (-len(spelt) % 4)) == raw:
            with pytest.raises(MalformedRequest):
                CURSORS.open(spelt, SCOPE)
    with pytest.raises(MalformedRequest):
        CURSORS.open(urlsafe_b64encode(raw).decode() + "=", SCOPE)


def test_scopes_cannot_be_confused_by_clever_values() -> None:
    assert scope_of("calls", "a", "b,c") != scope_of("calls", "a", "b", "c")
    assert scope_of("calls", 'a","b') != scope_of("calls", "a", "b")


def test_the_secret_does_not_show() -> None:
    assert "secret of the tests" not in repr(CURSORS)
