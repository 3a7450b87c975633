"""Texts are cut as the networks cut them, and joined they are what was written."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy_pool.core.segments import (
    TOLL_FREE,
    USUAL,
    Encoding,
    Room,
    TooLong,
    count,
    encoding_of,
    header,
    part_of,
    smart,
    split,
)
from proxy_pool.core.text import Part
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

# TS 23.038 §6.2.1 by code position, written down a second time, row by row.
ROWS = [
    "@Δ 0¡P¿p",
    "£_!1AQaq",
    '$Φ"2BRbr',
    "¥Γ#3CScs",
    "èΛ¤4DTdt",
    "éΩ%5EUeu",
    "ùΠ&6FVfv",
    "ìΨ'7GWgw",
    "òΣ(8HXhx",
    "ÇΘ)9IYiy",
    "\nΞ*:JZjz",
    "Ø\x1b+;KÄkä",
    "øÆ,<LÖlö",
    "\ræ-=MÑmñ",
    "Åß.>NÜnü",
    "åÉ/?O§oà",
]
SEPTET = {letter: column * 16 + row for row, line in enumerate(ROWS) for column, letter in enumerate(line)}
ESCAPED = {
    "\f": 10,
    "^": 20,
    "{": 40,
    "}": 41,
    "\\": 47,
    "[": 60,
    "~": 61,
    "]": 62,
    "|": 64,
    "€": 101,
}
del SEPTET["\x1b"]
ESCAPE = 27
TEXTS = st.one_of(
    st.text(alphabet=sorted(SEPTET) + sorted(ESCAPED), max_size=2000),
    st.text(alphabet="a€😀é漢", max_size=1000),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=500),
)
ROOMS = st.sampled_from([USUAL, TOLL_FREE])


def counted_again(text: str, room: Room) -> int:
    """The number of segments, reckoned on encoded septets and bytes instead of characters."""
    if all(letter in SEPTET or letter in ESCAPED for letter in text):
        septets: list[int] = []
        for letter in text:
            septets += [ESCAPE, ESCAPED[letter]] if letter in ESCAPED else [SEPTET[letter]]
        return _chunks(septets, *room.gsm7, lambda last: last == ESCAPE)
    coded = text.encode("utf-16-be")
    units = [int.from_bytes(coded[at : at + 2], "big") for at in range(0, len(coded), 2)]
    return _chunks(units, *room.ucs2, lambda last: 0xD800 <= last < 0xDC00)


def _chunks(units: list[int], alone: int, among: int, must_not_end: object) -> int:
    if len(units) <= alone:
        return 1
    chunks = 0
    while units:
        end = min(among, len(units))
        if end < len(units) and must_not_end(units[end - 1]):  # type: ignore[operator]
            end -= 1
        units = units[end:]
        chunks += 1
    return chunks


@given(TEXTS, ROOMS)
@example("a" * 152 + "€" + "b" * 20, USUAL)
@example("漢" * 66 + "😀" * 10, USUAL)
def test_segments_join_to_the_text_and_none_is_too_big(text: str, room: Room):
    segments = split(text, reference=7, room=room, most=10_000)
    assert "".join(one.text for one in segments) == text
    alone, among = room.of(encoding_of(text))
    assert all(one.units <= (alone if len(segments) == 1 else among) for one in segments)
    if len(segments) > 1:
        assert [one.part for one in segments] == [
            Part(7, len(segments), number) for number in range(1, len(segments) + 1)
        ]


@given(TEXTS, ROOMS)
@example("a" * 152 + "€" + "b" * 20, USUAL)
@example("漢" * 66 + "😀" * 40, USUAL)
def test_the_count_is_what_a_second_reckoning_on_encoded_units_gives(text: str, room: Room):
    assert count(text, room) == counted_again(text, room)


@pytest.mark.parametrize("letter", sorted(SEPTET) + sorted(ESCAPED))
def test_every_letter_of_the_two_tables_fits_seven_bits(letter: str):
    assert encoding_of(letter) is Encoding.GSM7
    assert split(letter)[0].units == (2 if letter in ESCAPED else 1)


@given(st.characters(exclude_characters="".join(SEPTET) + "".join(ESCAPED), exclude_categories=["Cs"]))
def test_any_other_letter_makes_the_text_ucs2(letter: str):
    assert encoding_of("plain " + letter) is Encoding.UCS2


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" * 77, 3),
        ("漢" * 70, 1),
        ("漢" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),
    ],
)
def test_the_known_edges(text: str, segments: int):
    assert count(text) == segments


def test_a_pair_at_the_edge_goes_whole_into_the_next_segment():
    assert [one.units for one in split("a" * 152 + "€" + "b" * 151)] == [152, 153]
    assert [one.units for one in split("漢" * 66 + "😀" * 3)] == [66, 6]


def test_ten_segments_pass_and_one_letter_more_does_not():
    assert len(split("a" * 1530)) == 10
    with pytest.raises(TooLong) as refused:
        split("a" * 1531)
    assert refused.value.segments == 11


def test_typography_is_made_plain_only_where_that_spares_ucs2():
    assert smart("“It’s”\u00a0here – now…") == '"It\'s" here - now...'
    assert smart("“漢”") == "“漢”"


@given(st.text(alphabet="abc“”’–…\u00a0€😀", max_size=50))
def test_plain_kin_never_need_more_segments(text: str):
    assert count(smart(text)) <= count(text)


@given(st.integers(0, 0xFFFF), st.integers(1, 255), st.data(), st.booleans())
def test_a_header_tells_its_part(reference: int, total: int, data: st.DataObject, wide: bool):
    part = Part(reference if wide else reference & 0xFF, total, data.draw(st.integers(1, total)))
    written = header(part, wide=wide)
    assert part_of(written) == part
    ports = bytes((5, 4, 0x0B, 0x84, 0x0B, 0x84))  # another element before it: application ports
    both = ports + written[1:]
    assert part_of(bytes((len(both),)) + both) == part


@given(st.binary(max_size=20))
def test_a_broken_header_tells_of_no_part_and_never_raises(raw: bytes):
    part = part_of(raw)
    assert part is None or 1 <= part.number <= part.total <= 255


@pytest.mark.parametrize("part", [Part(256, 2, 1), Part(0, 2, 3), Part(0, 256, 1), Part(0, 2, 0)])
def test_a_part_that_does_not_fit_is_refused(part: Part):
    with pytest.raises(InvalidInput):
        header(part)
