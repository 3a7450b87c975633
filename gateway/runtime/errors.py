"""What can go wrong with the servers we fetch and start ourselves; part of the one tree of errors."""

from __future__ import annotations

from telephony.errors import PatchbayError, Unavailable


class ProvisionFailed(PatchbayError):
    """A server program could not be found or fetched; the message says what to install."""

    code = "PROVISION_FAILED"


class ProgramTooOld(ProvisionFailed):
    """A program was found, but in a version that is refused; the message says why."""

    code = "PROGRAM_TOO_OLD"


class ChildFailed(Unavailable):
    """A child process did not start, or is gone; the message ends with the tail of its log."""

    code = "CHILD_FAILED"
