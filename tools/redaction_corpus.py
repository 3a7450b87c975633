"""Writes tests/data/redaction_corpus.tsv: labelled texts as people send them, our own words throughout.

Columns: label, countries, kinds, text. Labels: ``clear`` and ``evasion`` hold what the kinds say (of one kind
or several), ``plain`` and ``hard`` hold none of it (kinds ``-``); a line is labelled by what it holds, not by
what our detector finds. All numbers are from ranges set aside for fiction (North America 555-01xx, Ofcom's,
ARCEP's, the Bundesnetzagentur's and ACMA's), domains are example.com and its kin.

    python tools/redaction_corpus.py
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from redaction_lines import (
    EMAIL_FRAMES,
    EVASIVE_FRAMES,
    HAND_WRITTEN,
    HANDLE_LINES,
    LINK_FRAMES,
    LINKS,
    NUMBER_FRAMES,
    OTHER_FRAMES,
    PLAIN_LINES,
    SITE_NAMES,
)


def words(text: str) -> list[str]:
    return text.split()


WORDS = words("zero one two three four five six seven eight nine")
OH_WORDS = words("oh one two three four five six seven eight nine")
AREAS = words("415 212 303 503 617 702 808 904 312 206 469 541")
NAMES = words("johnny maria.k sam_w lee.chen pat1987 robin aisha.m t.novak kim22 alexdoe jo_ann dee")
HOSTS = words("example.com example.org example.net mail.example.com example.co.uk")

Maker = Callable[[random.Random], str]


def us(chance: random.Random) -> str:
    return f"{chance.choice(AREAS)}55501{chance.randrange(100):02d}"


def us_written(chance: random.Random) -> str:
    number = us(chance)
    a, b, c = number[:3], number[3:6], number[6:]
    shapes = [
        f"{a}-{b}-{c}",
        f"({a}) {b}-{c}",
        f"{a}.{b}.{c}",
        f"{a} {b} {c}",
        f"+1{number}",
        f"+1 {a} {b} {c}",
        f"+1 ({a}) {b}-{c}",
        f"1-{a}-{b}-{c}",
        number,
        f"({a}){b}{c}",
        f"{a}/{b}-{c}",
        f"{a}-{b}{c}",
        f"001 {a} {b} {c}",
        f"{a} - {b} - {c}",
    ]
    return chance.choice(shapes)


def gb_written(chance: random.Random) -> str:
    mobile, line = f"{chance.randrange(1000):03d}", f"{chance.randrange(1000):03d}"
    shapes = [
        f"07700 900{mobile}",
        f"07700900{mobile}",
        f"+44 7700 900{mobile}",
        f"+447700900{mobile}",
        f"0044 7700 900{mobile}",
        f"020 7946 0{line}",
        f"(020) 7946 0{line}",
        f"0113 496 0{line}",
        f"01632 960{line}",
        f"07700-900-{mobile}",
        f"+44 (0)20 7946 0{line}",
    ]
    return chance.choice(shapes)


def fr_written(chance: random.Random) -> str:
    tail = [f"{chance.randrange(100):02d}" for _ in range(2)]
    head = chance.choice([["01", "99", "00"], ["06", "39", "98"]])
    return chance.choice([" ", ".", "", "-"]).join(head + tail)


def de_written(chance: random.Random) -> str:
    tail = f"{chance.randrange(1000):03d}"
    return chance.choice([f"030 23125 {tail}", f"030/23125{tail}", f"+49 30 23125{tail}", f"03023125{tail}"])


def spelled(chance: random.Random) -> str:
    words = [chance.choice([WORDS, OH_WORDS])[int(digit)] for digit in us(chance)]
    joint = chance.choice([" ", " ", "-", ", ", "... ", "."])
    return joint.join(words)


def doubled(chance: random.Random) -> str:
    a, tail = chance.choice(AREAS), chance.randrange(100)
    head = " ".join(WORDS[int(digit)] for digit in a)
    return f"{head} triple five oh one {WORDS[tail // 10]} {WORDS[tail % 10]}"


def mixed(chance: random.Random) -> str:
    return " ".join(chance.choice([digit, WORDS[int(digit)]]) for digit in us(chance))


def spaced(chance: random.Random) -> str:
    return chance.choice([" ", ".", "-", " . ", "*", "_", ",", "/", "~"]).join(us(chance))


def keycaps(chance: random.Random) -> str:
    return "".join(digit + "\ufe0f\u20e3" for digit in us(chance))


def other_digits(chance: random.Random) -> str:
    zero = chance.choice([0xFF10, 0x0660, 0x0966, 0x1D7D8])
    return "".join(chr(zero + int(digit)) for digit in us(chance))


def circled(chance: random.Random) -> str:
    return "".join("⓪" if digit == "0" else chr(0x2460 + int(digit) - 1) for digit in us(chance))


def lookalikes(chance: random.Random) -> str:
    number = us(chance)
    drawn = number.replace("0", chance.choice("oO")).replace("1", chance.choice("lI"))
    return chance.choice([f"{drawn[:3]}-{drawn[3:6]}-{drawn[6:]}", f"{drawn[:3]} {drawn[3:]}"])


def with_words(chance: random.Random) -> str:
    number, word = us(chance), chance.choice(["dash", "dot", "hyphen", "point", "space"])
    return f"{number[:3]} {word} {number[3:6]} {word} {number[6:]}"


def invisible(chance: random.Random) -> str:
    number = us(chance)
    return chance.choice(["\u200b", "\u2060", "\u00ad"]).join([number[:3], number[3:6], number[6:]])


def written_mail(chance: random.Random) -> str:
    return f"{chance.choice(NAMES)}@{chance.choice(HOSTS)}"


def spoken_mail(chance: random.Random) -> str:
    name, host = chance.choice(NAMES).replace("_", "."), chance.choice(["example", "mail"])
    end = chance.choice(["com", "org", "net"])
    at = chance.choice([" at ", " (at) ", "[at]", " AT ", " @ ", "(at)"])
    dot = chance.choice([" dot ", " (dot) ", "[dot]", " DOT "])
    if "." in name and chance.random() < 0.5:
        name = name.replace(".", " dot ")
    return f"{name}{at}{host}{dot}{end}"


def spoken_site(chance: random.Random) -> str:
    name, end = chance.choice(SITE_NAMES), chance.choice(["com", "net", "org"])
    return chance.choice([f"{name} dot {end}", f"{name} (dot) {end}", f"{name}[.]{end}", f"{name} . {end}"])


def filled(frames: list[str], makers: list[Maker], count: int, chance: random.Random) -> Iterator[str]:
    """Every maker and every frame in turn, so that all are met."""
    for at in range(count):
        frame = frames[at % len(frames)]
        yield frame.replace("{}", makers[(at // 3 + at) % len(makers)](chance))


def other_values(chance: random.Random) -> dict[str, str]:
    """What looks like numbers and is none."""
    digits = "".join(chance.choice("0123456789") for _ in range(24))
    return {
        "order": f"{chance.choice(['4', '7', '100'])}{digits[:7]}",
        "long": digits[:12],
        "track": f"1Z{digits[:3]}AA{digits[3:13]}",
        "usps": f"9400 1{digits[:3]} {digits[3:7]} {digits[7:11]} {digits[11:15]} {digits[15:17]}",
        "price": f"{chance.randrange(5, 4000)}.{chance.randrange(100):02d}",
        "big": f"{chance.randrange(1, 900)},{chance.randrange(1000):03d}",
        "time": f"{chance.randrange(24)}:{chance.randrange(60):02d}",
        "hour": str(chance.randrange(1, 12)),
        "date": f"2026-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
        "day": f"{chance.randrange(1, 13)}/{chance.randrange(1, 29)}/2026",
        "dotted": f"{chance.randrange(1, 29)}.{chance.randrange(1, 13)}.2026",
        "zip": f"{chance.randrange(10000, 99999)}",
        "zip4": f"{chance.randrange(10000, 99999)}-{chance.randrange(1000, 9999)}",
        "house": str(chance.randrange(2, 9999)),
        "room": str(chance.randrange(100, 2400)),
        "few": str(chance.randrange(2, 60)),
        "flat": str(chance.randrange(1, 90)),
        "year": str(chance.randrange(1950, 2026)),
        "plate": f"{chance.choice('ABCKLM')}R{chance.randrange(10, 99)} {chance.choice('ABC')}XY",
        "score": f"{chance.randrange(5)}-{chance.randrange(5)}",
        "lat": f"37.{digits[:4]}",
        "lon": f"-122.{digits[4:8]}",
        "code": digits[:6],
        "card": "4000 " + " ".join(digits[at : at + 4] for at in (0, 4, 8)),
    }


def lines() -> Iterator[tuple[str, str, str, str]]:
    """All lines of the corpus."""
    chance = random.Random(20260308)
    for text in filled(NUMBER_FRAMES, [us_written], 130, chance):
        yield "clear", "US", "number", text
    for text in filled(NUMBER_FRAMES, [gb_written], 90, chance):
        yield "clear", "GB", "number", text
    for text in filled(NUMBER_FRAMES[:12], [fr_written], 24, chance):
        yield "clear", "FR", "number", text
    for text in filled(NUMBER_FRAMES[:12], [de_written], 24, chance):
        yield "clear", "DE", "number", text
    hidden: list[Maker] = [spelled, doubled, mixed, spaced, keycaps, other_digits, circled, lookalikes]
    hidden += [with_words, invisible, spelled, spaced]
    for text in filled(EVASIVE_FRAMES, hidden, 200, chance):
        yield "evasion", "US", "number", text
    for text in filled(EMAIL_FRAMES, [written_mail], 70, chance):
        yield "clear", "US", "email", text
    for text in filled(EMAIL_FRAMES, [spoken_mail], 60, chance):
        yield "evasion", "US", "email", text
    for text in filled(LINK_FRAMES, [lambda c: c.choice(LINKS)], 80, chance):
        yield "clear", "US", "link", text
    for text in filled(LINK_FRAMES, [spoken_site], 40, chance):
        yield "evasion", "US", "link", text
    for text in HANDLE_LINES:
        yield "clear", "US", "handle", text.replace("{}", chance.choice(NAMES))
    for at in range(6 * len(OTHER_FRAMES)):
        frame = OTHER_FRAMES[at % len(OTHER_FRAMES)]
        yield "hard", chance.choice(["US", "GB", "US,GB"]), "-", frame.format(**other_values(chance))
    for text in PLAIN_LINES:
        yield "plain", "US,GB", "-", text
    yield from HAND_WRITTEN


def main() -> None:
    """Write the file: each line once, in the order of making."""
    path = Path(__file__).resolve().parents[1] / "tests" / "data" / "redaction_corpus.tsv"
    unique = dict.fromkeys("\t".join(line).replace("\n", "\\n") for line in lines())
    path.write_text("label\tcountries\tkinds\ttext\n" + "\n".join(unique) + "\n", "utf-8")
    print(f"{len(unique)} lines")


if __name__ == "__main__":
    main()
