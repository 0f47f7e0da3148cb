"""Signatures of AWS (SigV4), with keys from the configuration, else from where AWS's tools take them.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html and
https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as StaticCredentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from proxy.client.credentials.base import CredentialFailed, IssuedCredential, UnsignedRequest
from proxy.config.provider_schema import CloudSettings
from proxy.providers.bedrock import MANTLE, scope_of

# botocore renews temporary keys ten minutes before they expire, so this never keeps one for too long. Keys in a file
# may change.
KEPT: Final = 300.0  # seconds

# AWS requires these, beside its own x-amz-*. A proxy may change any other header.
_SIGNED: Final = frozenset({"host", "content-type"})


class SigningKeys(IssuedCredential):
    """``keys``: botocore's frozen credentials."""

    def __init__(self, keys: Any, settings: CloudSettings, expires_at: float) -> None:
        super().__init__(expires_at)
        self._keys = keys
        self._settings = settings

    def lines(self, request: UnsignedRequest) -> bytes:
        digest = hashlib.sha256()
        for piece in request.body:
            digest.update(piece)
        headers = {
            name.title(): value
            for name, value in request.headers
            if name.lower() in _SIGNED or name.lower().startswith("x-amz-")
        }
        headers["X-Amz-Content-Sha256"] = digest.hexdigest()
        signed = AWSRequest(request.method, f"https://{headers['Host']}{request.target}", headers)
        service, region = self._scope(headers["Host"])
        SigV4Auth(self._keys, service, region).add_auth(signed)
        given = {name.lower() for name, _ in request.headers}
        return "".join(
            f"{name}: {value}\r\n" for name, value in signed.headers.items() if name.lower() not in given
        ).encode("latin-1")

    def _scope(self, authority: str) -> tuple[str, str]:
        """Service and region. ``Bedrock.mistake`` has checked that the region is known."""
        settings = self._settings
        service, region = scope_of(authority.rpartition(":")[0] or authority) or (MANTLE, "")
        return settings.service or service, settings.region or region


def fetch(settings: CloudSettings, environ: Mapping[str, str], now: float) -> IssuedCredential:
    """Find the keys; blocks. ``now`` in Unix seconds. Raises CredentialFailed."""
    if settings.access_key_id:
        static = StaticCredentials(settings.access_key_id, settings.secret_access_key, settings.session_token or None)
        return SigningKeys(static.get_frozen_credentials(), settings, now + KEPT)
    where = f"profile {settings.profile}" if settings.profile else "the default credentials"
    try:
        session = Session(profile=settings.profile or None)
        if settings.credentials_file:
            session.set_config_variable("credentials_file", settings.credentials_file)
        found = session.get_credentials()
        keys = None if found is None else found.get_frozen_credentials()
    except BotoCoreError as error:
        raise CredentialFailed(f"AWS: {where}: {error}") from None
    if keys is None or not keys.access_key:
        raise CredentialFailed(
            f"AWS: {where}: there are none; set apiKey, cloud.accessKeyId and secretAccessKey, or AWS_ACCESS_KEY_ID"
        )
    return SigningKeys(keys, settings, now + KEPT)
