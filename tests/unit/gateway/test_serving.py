"""How the API is served: what is agreed with whoever stands between it and its users."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette

from gateway.__main__ import server_config
from gateway.config import Settings

pytestmark = pytest.mark.unit


def test_a_connection_rests_longer_than_those_who_use_it_again_keep_it(tmp_path: Path) -> None:
    """Else a request is sent, now and then, over a connection that is being closed, and is lost."""
    settings = Settings.from_env({"PATCHBAY_VAR_DIR": str(tmp_path)})
    served = server_config(Starlette(), settings)
    usual_of_proxies = 60
    assert served.timeout_keep_alive > usual_of_proxies
    assert (served.host, served.port) == (settings.api_host, settings.api_port)
