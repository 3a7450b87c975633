"""The outermost layer: opens the exchange, turns every error into an answer, counts and logs each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.body import ClientGone
from gateway.http.errors import describe
from gateway.http.exchange import ErrorShape, Exchange, open_exchange
from gateway.http.face import Face
from gateway.http.metrics import HttpMetrics
from telephony.errors import PatchbayError

_log = structlog.get_logger("gateway.http")
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged only when they fail."""


class Front:
    """ASGI middleware around the whole application. ``shapes``: how errors are told below these prefixes."""

    def __init__(
        self, app: ASGIApp, face: Face, metrics: HttpMetrics, shapes: Mapping[str, ErrorShape]
    ) -> None:
        self._app = app
        self._shapes = shapes
        self._clock = face.clock
        self._new_id: Callable[[str], str] = face.new_id
        self._docs_url = f"{face.settings.public_url}/docs"
        self._proxies = face.settings.trusted_proxies
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock.mono()
        now = self._clock.wall()
        exchange = open_exchange(scope, now, self._new_id, self._docs_url, self._proxies)
        with structlog.contextvars.bound_contextvars(request_id=exchange.request_id):
            await self._serve(exchange, scope, receive, send)
            took = self._clock.mono() - began
            self._metrics.observe(exchange, took)
            _write_line(exchange, took)

    async def _serve(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        shape = self._shape_at(scope["path"])  # why: before a mount changes the scope
        try:
            await self._app(scope, receive, send)
        except ClientGone:
            exchange.status = 499
        except PatchbayError as error:
            await self._tell(exchange, send, error, shape)
        except Exception as error:  # noqa: BLE001 # why: the edge of a request: a defect is a 500, logged whole
            _log.error("http.defect", action="http.defect", route=exchange.route, exc_info=error)
            await self._tell(exchange, send, error, shape)

    def _shape_at(self, path: str) -> ErrorShape | None:
        below = (shape for prefix, shape in self._shapes.items() if f"{path}/".startswith(f"{prefix}/"))
        return next(below, None)

    async def _tell(self, exchange: Exchange, send: Send, error: Exception, shape: ErrorShape | None) -> None:
        reply = describe(error, whole=exchange.sees_numbers)
        if reply.status == 500 and isinstance(error, PatchbayError):
            _log.error("http.defect", action="http.defect", route=exchange.route, exc_info=error)
        if exchange.started:
            return  # the answer is half out: only closing the connection can still say that it is broken
        if shape is None:
            await exchange.send_error(send, reply)
        else:
            await exchange.send_told(send, shape(error, exchange.sees_numbers))


def _write_line(exchange: Exchange, took: float) -> None:
    if exchange.route in _QUIET and exchange.status < 400:
        return
    _log.info(
        "http.request",
        action="http.request",
        method=exchange.method,
        route=exchange.route,
        status=exchange.status,
        took_ms=round(took * 1000, 2),
        **exchange.facts,
    )
