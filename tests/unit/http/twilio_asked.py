"""Twilio's routes asked as a bot asks them, and refusals in Twilio's shape."""

import json
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlencode

from telephony.ids import CallId
from tests.unit.http.asgi import Answer
from tests.unit.http.rig import OURS, Rig
from voice_agents.core.control_token import Control, issue
from voice_agents.core.sids import account_sid, call_sid

ACCOUNT = account_sid(OURS)
HANGUP = "<Response><Hangup/></Response>"


def token_of(rig: Rig, call_id: str) -> str:
    return issue(rig.face.signing_secret, Control(OURS, CallId(call_id), int(rig.clock.now()) + 600))


async def ask(
    rig: Rig,
    method: str,
    call_id: str,
    form: Mapping[str, str] | None = None,
    *,
    password: str | None = None,
    user: str = ACCOUNT,
    account: str = ACCOUNT,
    path: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    secret = rig.keys["owner"] if password is None else password
    basic = b64encode(f"{user}:{secret}".encode()).decode()
    where = path or f"/2010-04-01/Accounts/{account}/Calls/{call_sid(call_id)}.json"
    sent = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
    body = None if form is None else urlencode(form).encode()
    return await rig.client.having(None).ask(method, where, body, {**sent, **(headers or {})})


def refusal(answer: Answer, status: int, code: int) -> None:
    told = json.loads(answer.body)
    assert (answer.status, told["status"], told["code"]) == (status, status, code), told
    assert told["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert set(told) == {"code", "message", "more_info", "status"}
