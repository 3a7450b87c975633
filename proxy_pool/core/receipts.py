"""How far a text has come, told by receipts that come late, twice and in any order.

Forward only: queued < sent < (undelivered, failed, expired, rejected) < delivered. The failures are one
step: the first that is told stays, since they differ only in a carrier's word for it. ``delivered`` stands
above them, also when it comes later: a failure is the absence of a sign within somebody's patience (an SMSC's
validity period, our own deadline, a filter's guess), a delivery is the sign itself. "Some networks may
report inaccurate statuses" (developer.vonage.com, Messages, SMS status callbacks), and a text whose sending
timed out may take two routes. Calling a text that was read ``failed`` would be untrue for good. Nothing
takes ``delivered`` back.
"""

from __future__ import annotations

from typing import Final

from proxy_pool.core.text import Receipt, ReceiptState
from telephony.numbers import mask_text

PARKED_S: Final = 600.0
"""How long a receipt for an unknown text is kept: it can overtake the answer to our own request."""
_LONGEST_ERROR: Final = 120
RANK: Final = {
    ReceiptState.QUEUED: 1,
    ReceiptState.SENT: 2,
    ReceiptState.UNDELIVERED: 3,
    ReceiptState.FAILED: 3,
    ReceiptState.EXPIRED: 3,
    ReceiptState.REJECTED: 3,
    ReceiptState.DELIVERED: 4,
}
"""Also the sequence of the interaction in that state: so what is told twice, or by two processes at once, is
the same change and is kept once. A receipt that overtook another one leaves a number out."""


def is_failure(state: ReceiptState) -> bool:
    return RANK[state] == 3


def is_final(state: ReceiptState) -> bool:
    """Whether nothing more is awaited; only a late ``delivered`` may still mend a failure."""
    return RANK[state] >= 3


def advance(
    state: ReceiptState, error: str, told: ReceiptState, told_error: str = ""
) -> tuple[ReceiptState, str]:
    """The state and its error after one more report. Never backwards; the same report again changes nothing.

    The error belongs to the state: a delivery has none.
    """
    if RANK[told] <= RANK[state]:
        return state, error
    return told, error_word(told_error) if is_failure(told) else ""


def error_word(text: str) -> str:
    """A carrier's error as it may be told: printable, short, and without the number that it complains about.

    >>> error_word("The number +14155550123 is not a mobile")
    'The number +141••••••23 is not a mobile'
    """
    return mask_text("".join(letter for letter in text if letter.isprintable()))[:_LONGEST_ERROR]


def after(state: ReceiptState, error: str, receipts: tuple[Receipt, ...]) -> tuple[ReceiptState, str]:
    """The state after these receipts, in the order in which they came."""
    for receipt in receipts:
        state, error = advance(state, error, receipt.state, receipt.error)
    return state, error
