"""Keys, and tokens signed with them: valid ones, and malformed ones that no library creates."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

NOW = 1_700_000_000.0
SECRET = "a-secret-of-at-least-32-characters!"
GOOD: dict[str, Any] = {"sub": "alice", "exp": NOW + 3600}


@cache
def private(kind: str, which: int = 0) -> Any:
    """A private key for RS256, ES256 or EdDSA, the same for the whole run; ``which`` tells several apart."""
    if kind == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ES256" else ed25519.Ed25519PrivateKey.generate()


@cache
def weak_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)


def pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem_file(folder: Path, content: bytes) -> str:
    path = folder / "key.pem"
    path.write_bytes(content)
    return str(path)


def jwk(key: Any, **more: Any) -> dict[str, Any]:
    """The public JWK of a private key; ``more`` members, such as its ``kid``."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    made.pop("key_ops", None)
    return {**made, **more}


def signed(claims: Any, key: Any = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.api_jws.encode(json.dumps(claims).encode(), key, algorithm, headers=header)


def part(content: Any) -> str:
    """One of the three parts of a token."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: Any, claims: Any, secret: bytes = SECRET.encode()) -> str:
    """Signed with HS256, independent of the header."""
    head = f"{part(header)}.{part(claims)}"
    return f"{head}.{part(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"
