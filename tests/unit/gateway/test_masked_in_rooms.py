"""Parties of masking sessions who dial into rooms: nothing is known of them there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialplan.core.call import Connect, VideoRoom
from dialplan.core.routing import Offered, RouteFacts
from dialplan.fakes import FixedBook
from gateway.masked_in_rooms import MaskedInRooms
from gateway.room_routes import RoomRoutes
from telephony.errors import StorageUnavailable
from telephony.ids import ChannelId, TenantId

pytestmark = pytest.mark.unit

TENANT = TenantId("ten_1")
PARTY = Offered(ChannelId("pb-1.1"), "+12025550100", "0014155550101", "from-alpha", "alpha")


class Holders:
    """Who has which proxy numbers."""

    def __init__(self, *keys: str) -> None:
        self.keys, self.asked, self.away = keys, 0, False

    async def held(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        assert (tenant, now) == (TENANT, 7.0)
        self.asked += 1
        if self.away:
            raise StorageUnavailable
        return frozenset({3}) if key in self.keys else frozenset()


@pytest.mark.parametrize(
    ("offered", "masked"),
    [
        (PARTY, True),
        (replace(PARTY, caller="+14155550101"), True),
        (replace(PARTY, caller="+14155550102"), False),
        (replace(PARTY, door="from-phone", line="alice"), True),
        (replace(PARTY, door="from-phone", line="bob"), False),
        (replace(PARTY, caller="anonymous"), False),
    ],
)
async def test_who_has_a_proxy_number_must_stay_unknown(offered: Offered, masked: bool) -> None:
    holders = Holders("+14155550101", "phone:alice")
    assert await MaskedInRooms(holders.held, lambda: 7.0)(TENANT, offered) is masked


async def test_whom_nobody_can_look_up_stays_unknown() -> None:
    holders = Holders()
    holders.away = True
    assert await MaskedInRooms(holders.held, lambda: 7.0)(TENANT, PARTY)


async def test_only_callers_of_rooms_are_looked_up() -> None:
    holders, masked = Holders("+14155550101"), RouteFacts(TENANT, Connect(VideoRoom("")))
    who = MaskedInRooms(holders.held, lambda: 7.0)
    dialled = replace(masked, route=Connect(VideoRoom("WebSocket/room0/x")))
    for known in (RouteFacts(None, None), dialled):
        assert await RoomRoutes(FixedBook(known), None, str, who).facts_for(PARTY) == known
    assert holders.asked == 0
