"""``python -m gateway``: one gateway process, its servers given by PATCHBAY_… variables."""

from __future__ import annotations

import signal
import sys

import uvicorn
import uvloop

from gateway import logs
from gateway.collecting import leave_what_is_loaded
from gateway.config import Settings, current_settings
from gateway.http.app import create_app
from gateway.wiring import Product
from telephony.errors import PatchbayError


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish requests, stop in order, leave calls to the switch."""
    product = Product(settings)
    try:
        face = await product.start()
        leave_what_is_loaded()
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(face),
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
                timeout_graceful_shutdown=5,
                backlog=1024,
            )
        )
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
