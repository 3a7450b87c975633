"""What is counted about requests. Labels hold route templates, never ids or numbers."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.http.exchange import Exchange

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics:
    """Requests and their duration by method, route and status; kept in the registry it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter("patchbay_http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "patchbay_http_request_seconds",
            "Time from the first byte read to the answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._known: dict[tuple[str, str, int], Counter] = {}
        self._timed: dict[tuple[str, str], Histogram] = {}

    def observe(self, exchange: Exchange, took_s: float) -> None:
        method = exchange.method if exchange.method in _METHODS else "other"
        key = (method, exchange.route, exchange.status)
        counter = self._known.get(key)
        if counter is None:
            counter = self._known[key] = self._requests.labels(method, exchange.route, str(exchange.status))
        counter.inc()
        timed = self._timed.get(key[:2])
        if timed is None:
            timed = self._timed[key[:2]] = self._seconds.labels(method, exchange.route)
        timed.observe(took_s)
