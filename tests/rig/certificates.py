"""Certificates for tests of TLS: an authority and what it signs, made here, believed by nobody else.

Just enough of X.509 (RFC 5280) and RSA (RFC 8017) for that; a machine need not have the openssl program.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.trial.sip_wire import TlsFiles

_SHA256_RSA, _RSA = "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.1"
_NAME, _SAN, _USAGE, _CONSTRAINTS = "2.5.4.3", "2.5.29.17", "2.5.29.15", "2.5.29.19"
_OWN_KEY, _ISSUER_KEY, _PURPOSE = "2.5.29.14", "2.5.29.35", "2.5.29.37"
_E = 65537


@dataclass(frozen=True, slots=True)
class Key:
    """An RSA key of 2048 bits."""

    p: int
    q: int

    @property
    def n(self) -> int:
        return self.p * self.q

    @property
    def d(self) -> int:
        return pow(_E, -1, (self.p - 1) * (self.q - 1))


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates. ``file`` is what those who believe it are given."""

    folder: Path
    name: str
    key: Key

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, address: str) -> TlsFiles:
        """A certificate for this IP address, its key, and this authority as the one to believe."""
        key = make_key()
        names = tlv(0x30, tlv(0x87, ip_address(address).packed))
        more = [
            extension(_SAN, names),
            extension(_PURPOSE, tlv(0x30, oid("1.3.6.1.5.5.7.3.1") + oid("1.3.6.1.5.5.7.3.2"))),
            extension(_ISSUER_KEY, tlv(0x30, tlv(0x80, key_id(self.key)))),
        ]
        cert, private = (self.folder / f"{address}-of-{self.name}.{end}" for end in ("pem", "key"))
        cert.write_text(certificate(address, key, self.name, self.key, more))
        private.write_text(private_key(key))
        private.chmod(0o600)
        return TlsFiles(str(cert), str(private), str(self.file))


def make_authority(folder: Path, name: str) -> Authority:
    """A new authority with its own certificate in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder, name, make_key())
    more = [
        extension(_CONSTRAINTS, tlv(0x30, tlv(0x01, b"\xff")), critical=True),
        extension(_USAGE, tlv(0x03, b"\x02\x04"), critical=True),
        extension(_OWN_KEY, tlv(0x04, key_id(authority.key))),
    ]
    authority.file.write_text(certificate(name, authority.key, name, authority.key, more))
    return authority


def make_key() -> Key:
    """Two primes of 1024 bits."""
    made = rsa.generate_private_key(_E, 2048).private_numbers()
    return Key(made.p, made.q)


# DER (ITU-T X.690)


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(n: int) -> bytes:
    return tlv(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    coded = bytearray([40 * first + second])
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        coded += bytes(reversed(digits))
    return tlv(0x06, bytes(coded))


def extension(which: str, value: bytes, *, critical: bool = False) -> bytes:
    return tlv(0x30, oid(which) + (tlv(0x01, b"\xff") if critical else b"") + tlv(0x04, value))


def _public(key: Key) -> bytes:
    return tlv(0x30, integer(key.n) + integer(_E))


def key_id(key: Key) -> bytes:
    return hashlib.sha1(_public(key), usedforsecurity=False).digest()


def certificate(subject: str, key: Key, issuer: str, issuer_key: Key, extensions: list[bytes]) -> str:
    """A certificate in PEM, valid from yesterday for a month."""

    def name(text: str) -> bytes:
        return tlv(0x30, tlv(0x31, tlv(0x30, oid(_NAME) + tlv(0x0C, text.encode()))))

    def moment(days: int) -> bytes:
        return tlv(0x17, f"{datetime.now(UTC) + timedelta(days):%y%m%d%H%M%SZ}".encode())

    algorithm = tlv(0x30, oid(_SHA256_RSA) + tlv(0x05, b""))
    spki = tlv(0x30, tlv(0x30, oid(_RSA) + tlv(0x05, b"")) + tlv(0x03, b"\0" + _public(key)))
    body = tlv(0xA0, integer(2)) + integer(secrets.randbits(120)) + algorithm + name(issuer)
    body += tlv(0x30, moment(-1) + moment(30)) + name(subject) + spki
    body = tlv(0x30, body + tlv(0xA3, tlv(0x30, b"".join(extensions))))
    signature = tlv(0x03, b"\0" + _sign(issuer_key, body))
    return _pem("CERTIFICATE", tlv(0x30, body + algorithm + signature))


def _sign(key: Key, message: bytes) -> bytes:
    digest = tlv(0x30, oid("2.16.840.1.101.3.4.2.1") + tlv(0x05, b""))
    digest = tlv(0x30, digest + tlv(0x04, hashlib.sha256(message).digest()))
    padded = b"\0\1" + b"\xff" * (256 - 3 - len(digest)) + b"\0" + digest
    return pow(int.from_bytes(padded, "big"), key.d, key.n).to_bytes(256, "big")


def private_key(key: Key) -> str:
    """The key in PEM (PKCS #1)."""
    parts = (0, key.n, _E, key.d, key.p, key.q, key.d % (key.p - 1), key.d % (key.q - 1))
    return _pem("RSA PRIVATE KEY", tlv(0x30, b"".join(map(integer, (*parts, pow(key.q, -1, key.p))))))


def _pem(kind: str, der: bytes) -> str:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN {kind}-----\n{text}-----END {kind}-----\n"
