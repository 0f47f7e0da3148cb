"""Certificates and API keys that expire soon, or have expired."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from proxy.auth.apikey import ApiKey
from proxy.auth.credentials import Credentials
from proxy.auth.keystore import DatabaseDown
from proxy.config.schema import Config
from proxy.control.attention.certificate_dates import Validity, validity_of
from proxy.control.attention.trouble import Trouble

NOTICE_SECS: Final = 14 * 86400.0
SHARE: Final = 0.2  # of a shorter life: a certificate of a day is renewed within hours
PAST_SECS: Final = 86400.0  # how long an expired key is shown
KEYS_EVERY: Final = 60.0  # seconds between two queries of the database
MOST_KEYS: Final = 50


class ExpiryTroubles:
    """``adopt`` after each load of the configuration; it reads the certificates that are then in force.

    ``has_database`` returns whether the database is in use: it is not opened for this.
    """

    def __init__(
        self, credentials: Credentials, has_database: Callable[[], bool], wall: Callable[[], float] = time.time
    ) -> None:
        self._credentials = credentials
        self._has_database = has_database
        self._wall = wall
        self._certificates: dict[str, Validity] = {}  # by the place in the configuration
        self._keys: Sequence[ApiKey] = ()  # of the database
        self._keys_at = 0.0

    def adopt(self, config: Config) -> None:
        """What cannot be read is left out: TLS itself reports it."""
        self._certificates = {}
        for place, path in _files(config).items():
            try:
                found = validity_of(Path(path).read_text("ascii", "replace"))
            except (OSError, ValueError):
                continue
            if found is not None:
                self._certificates[place] = found

    async def find(self) -> list[Trouble]:
        await self._read_keys()
        return [*self._of_certificates(), *self._of_keys()]

    def _of_certificates(self) -> Iterator[Trouble]:
        now = self._wall()
        for place, validity in self._certificates.items():
            if not _is_due(validity, now):
                continue
            expired = validity.ends <= now
            trouble = Trouble("warning", "certificate", place, "the certificate expires", until=validity.ends)
            if expired:
                why = "the certificate has expired"
                trouble = replace(trouble, severity="error", why=why, since=validity.ends, until=None)
            yield trouble

    def _of_keys(self) -> Iterator[Trouble]:
        now = self._wall()
        for key in (*self._credentials.configured(), *self._keys):
            ends = key.expires_at
            if ends is None or not key.enabled or ends < now - PAST_SECS:
                continue
            if ends <= now:
                yield Trouble("warning", "key", key.name, "the API key has expired", since=ends, key=key.id)
            elif _is_due(Validity(key.created_at, ends), now):
                yield Trouble("notice", "key", key.name, "the API key expires", until=ends, key=key.id)

    async def _read_keys(self) -> None:
        """At most once a minute. While the database does not respond, what is known stays."""
        now = self._wall()
        if not self._has_database() or now < self._keys_at + KEYS_EVERY:
            return
        self._keys_at = now
        try:
            self._keys = await self._credentials.keys().expiring(now - PAST_SECS, now + NOTICE_SECS, MOST_KEYS)
        except DatabaseDown:
            pass  # the database has an entry of its own


def _is_due(validity: Validity, now: float) -> bool:
    return validity.ends - now < min(NOTICE_SECS, SHARE * (validity.ends - validity.begins))


def _files(config: Config) -> Mapping[str, str]:
    """The certificates that the gateway presents, by their places. Bundles of CAs keep expired ones."""
    tls = config.server.tls
    found = {"server.tls.certFile": tls.cert_file} if tls is not None else {}
    for name, provider in config.providers.items():
        if provider.tls.cert_file:
            found[f"providers.{name}.tls.certFile"] = provider.tls.cert_file
    return found
