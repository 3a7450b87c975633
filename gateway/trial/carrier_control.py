"""The simulated carrier's own small API, for people and scripts on the same machine."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from gateway.config import is_loopback
from gateway.trial.carrier_sim import CarrierSim, shown
from proxy_pool.core.text import ReceiptState
from telephony.errors import InvalidInput, NotFound, PatchbayError

_Serve = Callable[[CarrierSim, dict[str, Any]], object]


class Control:
    """``POST /sim/inbound|receipt|faults``, ``GET /sim/sent|callbacks|faults``. Answers JSON.

    Its routes are made before the simulator that they steer: ``of`` joins them.
    """

    def __init__(self) -> None:
        self._sim: CarrierSim | None = None
        self.routes = web.RouteTableDef()
        for path, serve in (("inbound", _inbound), ("receipt", _receipt), ("faults", _set_faults)):
            self.routes.post(f"/sim/{path}")(self._door(serve))
        for path, serve in (("sent", _sent), ("callbacks", _callbacks), ("faults", _faults)):
            self.routes.get(f"/sim/{path}")(self._door(serve))

    def of(self, sim: CarrierSim) -> None:
        self._sim = sim

    def _door(self, serve: _Serve) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            if self._sim is None or not is_loopback((request.url.host or "").strip("[]")):
                return _json(403, {"error": "call this machine by its loopback address"})
            try:
                given = await _read(request)
                return _json(200, serve(self._sim, given))
            except NotFound as error:
                return _json(404, {"error": error.message})
            except PatchbayError as error:
                return _json(422, {"error": error.message, "field": getattr(error, "field", None)})

        return answer


async def _read(request: web.Request) -> dict[str, Any]:
    if request.method != "POST":
        return {}
    if request.content_type != "application/json":
        raise InvalidInput("send application/json", field="content-type")
    try:
        given = json.loads(await request.read())
    except ValueError:
        raise InvalidInput("the body is not JSON", field="body") from None
    if not isinstance(given, dict):
        raise InvalidInput("the body is not an object", field="body")
    return given


def _text(given: dict[str, Any], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a text", field=name)
    return value


def _inbound(sim: CarrierSim, given: dict[str, Any]) -> object:
    entries = given.get("media", [])
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise InvalidInput("media must be a list of objects", field="media")
    media = tuple((_text(one, "url"), _text(one, "content_type", "image/jpeg")) for one in entries)
    sender, to, body = _text(given, "from"), _text(given, "to"), _text(given, "body", "")
    return {"ids": sim.text_in(sender, to, body, media=media, opt_out=_text(given, "opt_out", ""))}


def _receipt(sim: CarrierSim, given: dict[str, Any]) -> object:
    word = _text(given, "state")
    if word not in list(ReceiptState):
        raise InvalidInput("no such state", field="state", expected=", ".join(ReceiptState))
    sim.report(_text(given, "id"), ReceiptState(word), _text(given, "error", ""))
    return {"id": given["id"], "state": word}


def _set_faults(sim: CarrierSim, given: dict[str, Any]) -> object:
    sim.faults = sim.faults.changed(given)
    return asdict(sim.faults)


def _faults(sim: CarrierSim, given: dict[str, Any]) -> object:
    return asdict(sim.faults)


def _sent(sim: CarrierSim, given: dict[str, Any]) -> object:
    return {"sent": [shown(taken) for taken in sim.sent], "refused": sim.refused}


def _callbacks(sim: CarrierSim, given: dict[str, Any]) -> object:
    return {"callbacks": [asdict(told) for told in sim.told]}


def _json(status: int, value: object) -> web.Response:
    return web.Response(status=status, text=json.dumps(value), content_type="application/json")
