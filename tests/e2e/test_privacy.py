"""Nobody's number comes out: some hundred hostile masked calls and texts on the whole running product."""

from __future__ import annotations

import pytest

from tools.verify_privacy.__main__ import fair, report, verify

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CALLS = 260
MUST_HAVE_COME_OUT = (
    "talked: completed",
    "early_media: completed",
    "refused: refused",
    "redirected: refused",
    "given_up: cancelled",
    "reinvited: completed",
    "said_inside: completed",
    "referred: completed",
    "stranger: turned away",
    "falls_back: fallback",
    "text: text relayed",
)
SEARCHED = ("SIP to alpha", "SIP to beta", "webhooks", "API", "metrics", "file log/gateway.log")


async def test_no_number_of_one_side_reaches_the_other_or_anybody_else(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    run, search = await verify(CALLS, seed=1, folder=tmp_path_factory.mktemp("privacy") / "var")
    found = report(run, search, 1.0)
    assert [(leak.place, leak.story) for leak in search.leaks] == []
    assert fair(found), found["odd"]
    assert found["calls"] >= CALLS
    assert {name for name in MUST_HAVE_COME_OUT if not found["outcomes"].get(name)} == set()
    assert {place for place in SEARCHED if search.octets[place] < 10_000} == set()
