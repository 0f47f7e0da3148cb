"""Access tokens of Google's cloud: of a service account or federated identity in a file, else what ``gcloud`` uses.

Source: https://cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from google.auth import default, exceptions, load_credentials_from_dict
from google.auth.transport.requests import Request

from proxy.client.credentials.base import CredentialFailed, IssuedCredential, UnsignedRequest
from proxy.config.provider_schema import CloudSettings
from proxy.config.proxies import proxy_url

SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
TIMEOUT: Final = 10.0  # seconds; for each request to the token server
_WITHOUT_END: Final = 300.0  # seconds; for a token that does not say when it expires
_LONGEST: Final = 300  # characters of an error


class AccessToken(IssuedCredential):
    """A bearer token, and the project that pays for it if that is another one."""

    def __init__(self, headers: Mapping[str, str], expires_at: float) -> None:
        super().__init__(expires_at)
        self._lines = "".join(f"{name.title()}: {value}\r\n" for name, value in headers.items()).encode("latin-1")

    def lines(self, request: UnsignedRequest) -> bytes:
        return self._lines


def fetch(settings: CloudSettings, environ: Mapping[str, str], now: float) -> IssuedCredential:
    """Fetch a token; blocks. ``now`` in Unix seconds. Raises CredentialFailed."""
    where = settings.credentials_file or "Application Default Credentials"
    request = _Transport(environ)
    headers: dict[str, str] = {}
    try:
        found = _loaded(settings.credentials_file, request)
        found.refresh(request)
        found.apply(headers)
    except exceptions.GoogleAuthError as error:
        raise CredentialFailed(f"Google: {where}: {_problem(error)}{_first_sentence(error)}") from None
    finally:
        request.close()
    expiry = found.expiry  # in UTC, without a zone
    return AccessToken(headers, now + _WITHOUT_END if expiry is None else expiry.replace(tzinfo=UTC).timestamp())


def _loaded(file: str, request: Request) -> Any:
    """The credentials, without a token. Raises CredentialFailed, GoogleAuthError."""
    if not file:
        return default(scopes=SCOPES, request=request)[0]
    try:
        with open(file, encoding="utf-8") as stream:
            content = json.load(stream)
    except OSError as error:
        raise CredentialFailed(f"Google: {file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise CredentialFailed(f"Google: {file} is not JSON; it must be the key file of a service account") from None
    with warnings.catch_warnings():  # that files of others can send requests anywhere; this one is the operator's
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return load_credentials_from_dict(content, scopes=SCOPES, request=request)[0]  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, KeyError) as error:  # of a broken private key
            raise CredentialFailed(f"Google: {file} is no valid credential: {_first_sentence(error)}") from None


class _Transport(Request):
    """Through the proxy that ``environ`` names, and not for longer than ``TIMEOUT``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._environ = environ

    def __call__(self, url: str, *args: Any, **options: Any) -> Any:
        proxy = proxy_url(url, self._environ)
        options["timeout"] = min(options.get("timeout") or TIMEOUT, TIMEOUT)
        options["proxies"] = {"http": proxy, "https": proxy} if proxy else None
        return super().__call__(url, *args, **options)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.session.close()


def _problem(error: exceptions.GoogleAuthError) -> str:
    if isinstance(error, exceptions.DefaultCredentialsError):
        return ""
    if isinstance(error, exceptions.TransportError):
        return "the token server cannot be reached: "
    return "no token was issued: "


def _first_sentence(error: BaseException) -> str:
    """The error's own words, and those of its cause. A refusal has the server's answer as a second argument."""
    words = [str(error.args[0])] if error.args else []
    words += [str(cause) for cause in error.args[1:2] if isinstance(cause, Exception)]
    text = " ".join(": ".join(words).split())
    text = text.replace(" from dict object", "").replace("The file dict object", "it")  # the file is named before
    return text[:_LONGEST].rstrip(".") or type(error).__name__
