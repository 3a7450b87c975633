"""The words by which redaction knows what is written: digits, joints, cues, labels, domains, platforms.

All in small letters, as ``redaction_fold`` writes them.
"""

from __future__ import annotations

from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of a text, for looking up."""
    return frozenset(text.split())


DIGIT_WORDS: Final = {
    **dict.fromkeys(("zero", "oh", "o", "nought", "naught", "nil", "cero", "zéro", "null"), "0"),
    **dict.fromkeys(("one", "uno", "un", "eins", "wun"), "1"),
    **dict.fromkeys(("two", "dos", "deux", "zwei", "zwo"), "2"),
    **dict.fromkeys(("three", "tres", "trois", "drei"), "3"),
    **dict.fromkeys(("four", "cuatro", "quatre", "vier"), "4"),
    **dict.fromkeys(("five", "cinco", "cinq", "fünf"), "5"),
    **dict.fromkeys(("six", "seis", "sechs"), "6"),
    **dict.fromkeys(("seven", "siete", "sept", "sieben"), "7"),
    **dict.fromkeys(("eight", "ocho", "huit", "acht"), "8"),
    **dict.fromkeys(("nine", "niner", "nueve", "neuf", "neun"), "9"),
}
TEEN_WORDS: Final = {
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
    "thirteen": "13",
    "fourteen": "14",
    "fifteen": "15",
    "sixteen": "16",
    "seventeen": "17",
    "eighteen": "18",
    "nineteen": "19",
}
TENS_WORDS: Final = {
    "twenty": "2",
    "thirty": "3",
    "forty": "4",
    "fourty": "4",
    "fifty": "5",
    "sixty": "6",
    "seventy": "7",
    "eighty": "8",
    "ninety": "9",
}
TIMES_WORDS: Final = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
JOINT_WORDS: Final = frozenset(
    {
        "dash",
        "hyphen",
        "dot",
        "point",
        "space",
        "slash",
        "minus",
        "plus",
        "tiret",
        "guion",
        "punto",
        "period",
        "then",
    }
)
"""Said between digits; they carry none."""
CUES: Final = words(
    """
    call phone text txt ring dial tel telephone mobile cell cellphone number whatsapp sms reach
    contact ph mob digits line landline teléfono telefono móvil llama llámame numéro numero
    téléphone tél portable appelle handy nummer telefon ruf
    """
)
"""A number that follows one of these is meant to be dialled."""
LABELS: Final = (
    "order|orders|ref|reference|booking|invoice|tracking|ticket|case|confirmation|reservation|parcel|package|"
    "item|sku|isbn|serial|vin|account|acct|card|iban|policy|code|pin|otp|passcode|transaction|receipt|"
    "flight|upc|ean|model|lot|barcode|shipment|waybill|voucher|coupon|membership|member|licence|license|"
    "vat|siret|commande|pedido|bestellung|id"
)
"""What such a word names is an id, not a number to dial."""

TLDS: Final = words(
    """
    com net org io co uk fr de es it eu nl be ch at au ca us in info biz xyz online site store shop
    app dev ai me tv cc ly gg gl link page club live tech cloud space website top vip pro mobi ru cn
    jp br mx pl se no dk fi ie pt gr cz ro hu za nz sg hk kr tr ua edu gov test example
    """
)
WORDLIKE_TLDS: Final = words(
    """
    in it us me no be at is so to my am do es se at ie live space link page club top pro test
    example
    """
)
"""Also words of a language: after a forgotten space they are no domain unless something else says so."""
SURE_TLDS: Final = words(
    """
    com net org io info biz xyz shop online site app dev
    """
)
"""Enough for a domain whose dot is spoken, or stands between spaces."""
SHORT_HOSTS: Final = frozenset(
    {"t.me", "wa.me", "line.me", "m.me", "fb.me", "paypal.me", "is.gd", "about.me"}
)
MAIL_HOSTS: Final = words(
    """
    gmail googlemail hotmail outlook yahoo icloud protonmail proton gmx aol ymail fastmail yandex
    """
)
DOT_WORDS: Final = frozenset({"dot", "punto", "punkt", "period"})
AT_WORDS: Final = frozenset({"at", "arroba", "arobase"})
NO_LOCAL_PART: Final = words(
    """
    look looks see check visit go website site it us me find buy meet meeting order ordered are is
    be am was shop stop stay live work arrive online them here there available sold now page that
    this you him her directly more details pics photos pictures book
    """
)
"""In front of a spoken "at" these make a place of it, not a mailbox."""

PLATFORMS: Final = words(
    """
    instagram insta snapchat telegram whatsapp wechat facebook tiktok twitter discord skype viber
    kik linkedin venmo cashapp onlyfans kakaotalk
    """
)
SHY_PLATFORMS: Final = words(
    """
    ig snap tg wa fb signal line messenger x zalo
    """
)
"""Also ordinary words or abbreviations: they count where the sentence leaves no doubt."""
CONTACT_VERBS: Final = words(
    """
    add follow dm message msg text hit reach contact ping pm hmu find
    """
)
PLACES_AFTER_AT: Final = words(
    """
    home work school office lobby gate door reception station airport me you all everyone the noon
    midnight work lunch dinner breakfast church gym here there my your
    """
)
"""After an @ these are places and people at large, not names."""
