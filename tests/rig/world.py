"""What tests of the outside world share: the server programs of this machine, and simulated far ends."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.runtime.errors import ProvisionFailed
from gateway.runtime.programs import Tools, find_tools
from gateway.runtime.switch_config import TEMPLATES


@functools.cache
def tools() -> Tools:
    """The programs fetched for this machine. A test that needs them fails where they were not fetched."""
    try:
        return find_tools(Settings.from_env(os.environ), lambda _: None)
    except ProvisionFailed as failure:
        pytest.fail(f"the server programs are not there: {failure.message}")


def sipp_command() -> list[str]:
    """The argument list that runs SIPp on this machine."""
    return tools().command("sipp")


def static_templates(folder: Path, dialplan: str) -> Path:
    """The product's switch configuration with another dialplan, for tests that need no gateway."""
    templates = folder / "asterisk-config"
    shutil.copytree(TEMPLATES, templates)
    (templates / "extensions.conf.j2").write_text(dialplan)
    return templates


STATIC_DIALPLAN = """\
[from-trunk]
exten => _+1555.,1,Dial(PJSIP/${EXTEN}@carrier,20)
 same => n,Hangup(${HANGUPCAUSE})
exten => _[a-z].,1,Set(CALLERID(num)=+15550002000)
 same => n,Dial(PJSIP/${EXTEN},20)
 same => n,Hangup(${HANGUPCAUSE})
[from-phone]
exten => _+1555.,1,Dial(PJSIP/${EXTEN}@carrier,20)
 same => n,Hangup(${HANGUPCAUSE})
exten => _[a-z].,1,Set(CALLERID(num)=+15550002000)
 same => n,Dial(PJSIP/${EXTEN},20)
 same => n,Hangup(${HANGUPCAUSE})
"""
"""Every number goes to the carrier, every name to the phone of that name, which sees a number of ours."""
