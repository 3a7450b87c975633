"""A carrier that wants passwords: a registrar, and a challenge to every INVITE. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.trial.sip_digest import Credentials, proves
from gateway.trial.sip_message import Reply, Request, uri_in


@dataclass(slots=True)
class Door:
    """Lets ``who`` in. ``contact`` is where he is registered, ``""`` while he is not.

    With ``invites`` each INVITE is challenged too (407). A challenge is made fresh by ``token``.
    """

    who: Credentials
    token: Callable[[], str]
    invites: bool = True
    expires_s: int = 600
    contact: str = ""
    registered: int = 0
    refused: int = 0
    challenged: list[str] = field(default_factory=list)
    """The methods that were challenged, in order."""
    _nonces: set[str] = field(default_factory=set)

    def judge(self, request: Request) -> Reply | None:
        """The answer to a request that goes no further; ``None`` lets an INVITE pass."""
        if request.method == "REGISTER":
            return self._challenge(request, 401) or self._register(request)
        return self._challenge(request, 407) if self.invites else None

    def _challenge(self, request: Request, status: int) -> Reply | None:
        asks, answers = (
            ("WWW-Authenticate", "Authorization")
            if status == 401
            else ("Proxy-Authenticate", "Proxy-Authorization")
        )
        shown = request.headers.first(answers)
        if any(proves(shown, request.method, self.who, nonce) for nonce in self._nonces):
            return None
        if shown:
            self.refused += 1
            return Reply(403)
        nonce = self.token()
        self._nonces.add(nonce)
        self.challenged.append(request.method)
        value = f'Digest realm="carrier", nonce="{nonce}", algorithm=MD5, qop="auth"'
        return Reply(status, headers=((asks, value),))

    def _register(self, request: Request) -> Reply:
        contact = request.headers.first("Contact")
        leaves = request.headers.first("Expires") == "0" or ";expires=0" in contact.replace(" ", "")
        self.contact = "" if leaves else uri_in(contact)
        self.registered += not leaves
        kept = () if leaves else (("Contact", f"<{self.contact}>;expires={self.expires_s}"),)
        return Reply(200, headers=(*kept, ("Expires", "0" if leaves else str(self.expires_s))))
