"""Public keys for verifying tokens, each with its only algorithm.

The algorithm follows from our key, never from the token (RFC 8725, section 3.1). PyJWT and cryptography are imported
when needed, as they are slow to import.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proxy.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

ASYMMETRIC = ("RS256", "ES256", "EdDSA")
SHORTEST_RSA = 2048  # bits: RFC 7518, section 3.3


def require_library() -> None:
    """Raises ``ConfigError`` if the extra is not installed."""
    try:
        import cryptography  # noqa: F401
        import jwt  # noqa: F401
    except ImportError:
        text = "tokens need PyJWT and cryptography, which are not installed: pip install 'sluice-gateway[jwt]'"
        raise ConfigError([f"auth.jwt: {text}"]) from None


def algorithm_of(key: object) -> str | None:
    """The algorithm of a public key; ``None`` if it is too short, of another curve, or not a key."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(key, RSAPublicKey):
        return "RS256" if key.key_size >= SHORTEST_RSA else None
    if isinstance(key, EllipticCurvePublicKey):
        return "ES256" if isinstance(key.curve, SECP256R1) else None
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else None


def read(path: str, name: str) -> tuple[str, PublicKey]:
    """The algorithm and key of a PEM file, which may contain a certificate instead.

    ``name``: the setting, for errors. Raises ``ConfigError``.
    """
    try:
        key = _key(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError([f"{name}: {path}: cannot be read: {error.strerror}"]) from None
    except ValueError as error:
        raise ConfigError([f"{name}: {path}: {error}"]) from None
    algorithm = algorithm_of(key)
    if algorithm is None:
        wanted = f"RSA of at least {SHORTEST_RSA} bits, the curve P-256, or Ed25519"
        raise ConfigError([f"{name}: {path}: holds no key that could verify tokens; it must be {wanted}"])
    return algorithm, key  # type: ignore[return-value]  # checked by algorithm_of


def _key(pem: bytes) -> object:
    """Raises ``ValueError``, without content of the file, which may be a private key by mistake."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    if b"PRIVATE KEY-----" in pem:
        raise ValueError("holds a private key; the gateway needs the public one alone, so do not give it away")
    try:
        if b"BEGIN CERTIFICATE-----" in pem:
            return load_pem_x509_certificate(pem).public_key()
        return load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no public key in PEM form") from None
