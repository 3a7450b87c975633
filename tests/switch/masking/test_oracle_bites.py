"""A switch that tells what it should not is found out by the same search that ours passes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.runtime.switch_config import TEMPLATES
from gateway.trial.sip_behaviour import Behaviour, answers
from gateway.trial.sip_call import CallState
from tests.rig.masked import A, B, masked_world, naming_headers
from tools.verify_privacy.people import Side
from tools.verify_privacy.search import Search

pytestmark = pytest.mark.switch

AT_HOME = Side("a", "127.0.0.2", A[:5], A[:9], A[:9], "")
ABROAD = Side("b", "127.0.0.3", B[:5], B[:9], B[:9], "")


KNOWN = ("callerid = unknown <0>\ntransport", "transport")
"""Without it the switch reads the caller's number and name from the INVITE."""


def templates(folder: Path, *spoilt: tuple[str, str]) -> Path:
    """The product's own configuration of the switch with some things spoilt."""
    copy = folder / "asterisk-config"
    shutil.copytree(TEMPLATES, copy)
    for before, after in spoilt:
        files = [copy / name for name in ("pjsip.conf.j2", "extensions.conf.j2")]
        file = next(file for file in files if before in file.read_text())
        file.write_text(file.read_text().replace(before, after))
    return copy


async def leaks(folder: Path, spoilt: Path) -> tuple[int, int]:
    """One call from A to B, and one that B refuses: what was found on B's side, and on A's."""
    async with masked_world(folder, templates=spoilt) as world:
        for script in (answers(), Behaviour(reject=486, reply_headers=naming_headers(B))):
            world.b.decide = lambda _, script=script: script
            call = world.a_calls()
            await call.reaches(CallState.ENDED if script.reject else CallState.ANSWERED)
            await call.hang_up()
            await world.b.quiet()
        search = Search({"a": {A}, "b": {B}})
        search.look("b", [traced.raw for traced in world.b.transport.trace if not traced.sent], (AT_HOME,))
        search.look("a", [traced.raw for traced in world.a.transport.trace if not traced.sent], (ABROAD,))
        return search.counted["b"], search.counted["a"]


@pytest.mark.parametrize(
    "told",
    [("CALLERID(all)=<${PB_CLI}>,", ""), ("CALLERID(all)=<${PB_CLI}>", "CALLERID(num)=${PB_CLI}")],
    ids=["number", "name"],
)
async def test_a_switch_that_tells_of_the_caller_is_found_out(tmp_path: Path, told: tuple[str, str]) -> None:
    to_b, to_a = await leaks(tmp_path / "run", templates(tmp_path, KNOWN, told))
    assert to_b > 0
    assert to_a == 0


async def test_ours_is_not(tmp_path: Path) -> None:
    assert await leaks(tmp_path, TEMPLATES) == (0, 0)
