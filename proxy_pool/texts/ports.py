"""What the relay of texts needs from outside. Times are epoch seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proxy_pool.core.interaction import Interaction
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.optout import Standing
from proxy_pool.core.party import AgentParty, PhoneParty
from proxy_pool.core.relay import Draft
from proxy_pool.core.session import Session, SessionId
from proxy_pool.core.settings import ServiceSettings
from proxy_pool.core.text import InboundText, Media, OutboundText, Receipt, ReceiptState
from proxy_pool.ports import SessionEvent
from telephony.errors import PatchbayError, Unavailable
from telephony.ids import TenantId
from telephony.numbers import E164

# ------------------------------------------------------------ in


@dataclass(frozen=True, slots=True)
class Arrived:
    """A text that a carrier hands over, with the id (``msg_…``) that it gets if it is new."""

    id: str
    text: InboundText


@dataclass(frozen=True, slots=True)
class Taken:
    """A text as it is stored: ``id`` of the first delivery, ``new`` where this was it. ``done``: it was
    judged already."""

    id: str
    new: bool
    done: bool = False


@dataclass(frozen=True, slots=True)
class Incoming:
    """A stored text, claimed for judging. ``claim`` tells this claim from one after it ran out. Parts of a
    long text come as one, with the joined body; ``missing`` names those that never came."""

    id: str
    text: InboundText
    taken_at: float
    claim: int
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptMedia:
    """An attachment that was fetched and cleaned. ``file`` is a name in the media folder."""

    id: str
    file: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Outbound:
    """A text to be queued. ``interaction`` is empty for an answer of the service itself, which also goes to
    people who opted out: it says that they did."""

    id: str
    tenant: TenantId
    draft: Draft
    expires_at: float
    interaction: str = ""
    media: tuple[KeptMedia, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """An interaction with its events. Without a session nothing is kept, the events are told alone."""

    interaction: Interaction
    events: tuple[SessionEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class NewStanding:
    """What holds between a tenant and a person from now on."""

    tenant: TenantId
    key: str = field(repr=False)
    standing: Standing


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that a judged text sets going, in one transaction with its settling."""

    outcome: str
    told: Told | None = None
    used: tuple[TenantId, SessionId, int] | None = None
    """A session that this text is a use of, and by which seat."""
    standing: NewStanding | None = None
    outbound: Outbound | None = None


class TextInbox(Protocol):
    """Texts that came in. Raises StorageUnavailable; then nothing was done.

    ``take_in`` stores all of it or nothing, durable when it returns: a text once for its (carrier,
    message_id), also when delivered twice at the same time; parts of long texts are put together here.
    A receipt changes the text that it is for, or is parked until that is known.
    ``claim_in`` gives texts that wait, the oldest first and one at a time for each conversation (writer and
    proxy number); they come again after ``until`` unless they are settled.
    ``settle_in`` erases the body and does what ``judged`` says, or does nothing and gives False where another
    claim has settled the text. A receiver who opted out in between gets nothing: that outbound is refused.
    ``put_back`` lets a claimed text come again at ``at``.
    """

    async def take_in(
        self, texts: Sequence[Arrived], receipts: Sequence[Receipt], now: float
    ) -> Sequence[Taken]: ...

    async def claim_in(self, now: float, until: float, limit: int) -> Sequence[Incoming]: ...

    async def settle_in(self, incoming: Incoming, judged: Judged, now: float) -> bool: ...

    async def put_back(self, incoming: Incoming, at: float) -> None: ...

    async def standing(self, tenant: TenantId, key: str) -> Standing: ...


# ------------------------------------------------------------ out


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """What is sent one after the other at one pace: all texts of one number over one carrier."""

    carrier: str
    sender: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A queued text, claimed for sending. ``attempts`` counts those before this one."""

    id: str
    tenant: TenantId
    draft: Draft
    attempts: int
    claim: int
    expires_at: float
    media: tuple[KeptMedia, ...] = ()


@dataclass(frozen=True, slots=True)
class SentOff:
    """The carrier took it."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class TryLater:
    """It stays in its lane until ``at``. ``attempted``: it was tried, not only held back by its lane."""

    at: float
    error: str
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class Over:
    """It will not be sent."""

    state: ReceiptState
    error: str


Sending = SentOff | TryLater | Over


class TextOutbox(Protocol):
    """Texts that go out. Raises StorageUnavailable; then nothing was done.

    ``lanes`` gives those with a text that is due. ``claim_out`` claims due texts of a lane, the oldest
    first and of each conversation only its first: the next one waits until that is sent or over.
    ``settle_out`` notes what came of it, unless the claim has run out and another one settled it; what is
    over, or sent, loses its body. The interaction follows in the same transaction.
    ``tend`` looks again at parked receipts, ends texts past their time, forgets what is older than it must
    be; it says how many it ended.
    """

    async def lanes(self, now: float) -> Sequence[Lane]: ...

    async def claim_out(self, lane: Lane, now: float, until: float, limit: int) -> Sequence[Outgoing]: ...

    async def settle_out(self, outgoing: Outgoing, sending: Sending, now: float) -> None: ...

    async def tend(self, now: float) -> int: ...


class TextStore(TextInbox, TextOutbox, Protocol):
    """Both sides."""


# ------------------------------------------------------------ the world


class Resolve(Protocol):
    """The live session behind a door, and the seat that it gives; ``proxy_pool.service.Masking.resolve``."""

    async def __call__(self, tenant: TenantId, key: str, proxy: E164) -> tuple[Session, int] | None: ...


Owner = Callable[[E164], PoolNumber | None]
"""The pool number that this is, of whatever tenant; ``PoolMemory.owner_of``."""


class Settings(Protocol):
    """The tenant's service settings; ``SettingsMemory``."""

    async def of(self, tenant: TenantId) -> ServiceSettings: ...


class MediaUnfit(PatchbayError):
    """The attachment is not one that is relayed: too big, of another type, gone, or broken."""

    code = "MEDIA_UNFIT"


class MediaKeeper(Protocol):
    """Fetches an attachment from a carrier, cleans it and keeps it. Raises MediaUnfit (for good) and
    Unavailable (for now); never waits longer than its own deadline."""

    async def keep(self, carrier: str, media: Media) -> KeptMedia: ...


class MediaLinks(Protocol):
    """Addresses at which a carrier may fetch a kept attachment for some hours."""

    def link(self, media: KeptMedia, now: float) -> Media: ...


@dataclass(frozen=True, slots=True)
class SentAs:
    """The carrier's id of a text it has taken; its receipts name it. ``segments`` where it tells them."""

    provider_id: str
    segments: int | None = None


class CarrierThrottled(PatchbayError):
    """The carrier wants fewer texts; it took nothing."""

    code = "CARRIER_THROTTLED"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class CarrierRefused(PatchbayError):
    """The carrier took nothing. ``reason`` is its word; ``permanent``: it would refuse the text again."""

    code = "CARRIER_REFUSED"

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(f"the carrier refused the text: {reason}")
        self.reason = reason
        self.permanent = permanent


class CarrierUnreachable(Unavailable):
    """No connection to the carrier was made; nothing was sent."""

    code = "CARRIER_UNREACHABLE"


class Sender(Protocol):
    """Sends a text once, within a deadline of its own. Raises CarrierThrottled, CarrierRefused,
    CarrierUnreachable, OutcomeUnknown (it may have been taken), NotFound for a carrier that is not there."""

    async def send(self, text: OutboundText, carrier: str) -> SentAs: ...


Pace = Callable[[str], float]
"""How many texts a second a carrier takes from each number."""


def wire_text(outgoing: Outgoing, media: tuple[Media, ...]) -> OutboundText:
    """What the carrier's adapter gets."""
    draft = outgoing.draft
    if isinstance(draft.to, PhoneParty):
        return OutboundText(outgoing.id, draft.sender, draft.sender, draft.body, media, draft.to.name)
    if isinstance(draft.to, AgentParty):
        raise CarrierRefused("an agent reads no texts", permanent=True)
    return OutboundText(outgoing.id, draft.sender, draft.to, draft.body, media)
