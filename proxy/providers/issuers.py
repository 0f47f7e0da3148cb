"""The issuer of blobs that only a provider can read: signatures, redacted and encrypted reasoning."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final
from urllib.parse import urlsplit

from proxy.providers.keys import Key
from proxy.providers.provider import Site

SHORTEST: Final = 20  # characters of a credential that counts
_DIGEST: Final = 6  # bytes: two of a thousand issuers are equal once in 560 million configurations


def issuer_of(site: Site, key: Key) -> str:
    """Name of a provider at one address with one credential: 12 hexadecimal digits, for ``blobs.py``.

    Clients see it. It is a hash of both, so equal in all replicas and after a restart, without any shared state. The
    constant ``person`` keeps it apart from other hashes of a key. Nothing of the credential can be learnt from it: the
    keys of providers are random, and those that are short enough to be guessed are left out. The query of the address
    is left out too, as it may hold a secret.
    """
    parts = urlsplit(site.base_url)
    address = f"{parts.scheme}://{parts.hostname}:{parts.port or ''}{parts.path.rstrip('/')}"
    found = blake2b(address.encode(), digest_size=_DIGEST, person=b"sluice issuer")
    for credential in _credentials(site, key):
        if len(credential) >= SHORTEST:
            found.update(b"\n" + credential.encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def main_issuer(site: Site) -> str:
    """The issuer of blobs from a translated answer: that of the first key, whichever key the request had.

    Otherwise reasoning would be lost whenever the next request takes another key.
    """
    return issuer_of(site, next(iter(site.provider.keys)))


def issuers_of(site: Site) -> frozenset[str]:
    """The issuers that a provider is at this address: one for each of its keys, which mostly belong to one account."""
    return frozenset(issuer_of(site, key) for key in site.provider.keys)


def _credentials(site: Site, key: Key) -> Iterable[str]:
    """The key, else what names the credential of a cloud, else the values of configured headers."""
    if key.secret:
        return (key.secret,)
    if key.source is not None:
        cloud = key.source.settings
        return (f"{key.source.issuer} {cloud.credentials_file} {cloud.profile} {cloud.access_key_id}",)
    return (value for _, value in sorted(site.provider.settings.headers.items()))
