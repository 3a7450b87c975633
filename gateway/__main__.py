"""``python -m gateway``: one gateway process, its servers given by PATCHBAY_… variables."""

from __future__ import annotations

import signal
import sys

import uvicorn
import uvloop
from starlette.types import ASGIApp

from gateway import logs
from gateway.collecting import leave_what_is_loaded
from gateway.config import Settings, current_settings
from gateway.http.app import create_app
from gateway.wiring import Product
from telephony.errors import PatchbayError

_KEEP_ALIVE_S = 75
"""How long a connection may rest between two requests: longer than proxies and clients keep theirs (60 s is
usual), so that the side that asks is the one that closes, and no request meets a connection being closed."""


def server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How the API is served."""
    return uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        http="httptools",
        loop="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # why: whom we believe is a setting of ours
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
        backlog=1024,
    )


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish requests, stop in order, leave calls to the switch."""
    product = Product(settings)
    try:
        face = await product.start()
        leave_what_is_loaded()
        server = uvicorn.Server(server_config(create_app(face), settings))
        for number in (signal.SIGTERM, signal.SIGINT):
            # why: uvicorn hears them, and raises them anew at its end, when ours is still to come
            signal.signal(number, signal.SIG_IGN)
        await server.serve()
    finally:
        await product.stop()


def main() -> None:
    """Entry point; a wrong setting is one line on stderr and exit code 2."""
    try:
        settings = current_settings()
        sys.setswitchinterval(0.001)  # the database's writer thread must not wait long for the loop's
        logs.configure(settings.log_level)
        uvloop.run(serve(settings))
    except PatchbayError as failure:
        sys.stderr.write(f"patchbay: {failure.message}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
