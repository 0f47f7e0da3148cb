"""Plain HTTP calls of the Python client: the standard library only."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

DEFAULT_URL: Final = "http://127.0.0.1:8080"
_NO_TOKEN: Final = (
    "There is no admin token. Set SLUICE_ADMIN_TOKEN, or pass token=. "
    "It is admin.token of the gateway's configuration, or else in its file data/admin-token."
)
_METHOD: Final = re.compile(r"[A-Z][A-Z-]*")
_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F)))


class RouterError(Exception):
    """A call failed. The text is the gateway's own, and says what to do.

    ``status``: 0 if the gateway did not answer. ``code`` and ``param`` are those of its error.
    """

    def __init__(self, message: str, status: int = 0, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param


class RoutedResponse:
    """An answer to a request through the gateway. ``headers``: names in lower case."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.status_code = status
        self.headers = headers
        self.content = content

    def __repr__(self) -> str:
        return f"<RoutedResponse {self.status_code}>"

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Raises RouterError if it is not JSON."""
        try:
            return json.loads(self.content)
        except ValueError:
            raise RouterError(f"The answer with status {self.status_code} is not JSON.", self.status_code) from None


class AdminCalls:
    """``url`` and ``token``: by default SLUICE_URL and SLUICE_ADMIN_TOKEN. ``timeout``: seconds for each step."""

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        self.url = (url or os.environ.get("SLUICE_URL") or DEFAULT_URL).rstrip("/")
        self._secure, self._host, self._port, self._path = _read_url(self.url)
        self._token = (token or os.environ.get("SLUICE_ADMIN_TOKEN", "")).strip()  # files end with a line end
        if not timeout > 0:
            raise RouterError(f"The timeout must be more than 0 seconds, got {timeout}.")
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<AdminCalls {self.url}>"

    def call(self, method: str, path: str, body: Any = None, query: Mapping[str, object] | None = None) -> Any:
        """The JSON of an answer; ``None``: it has no body. Raises RouterError."""
        if not self._token:
            raise RouterError(_NO_TOKEN)
        if not set(self._token) <= set(_VISIBLE):
            raise RouterError("The admin token (SLUICE_ADMIN_TOKEN or token=) may have visible ASCII characters only.")
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self.send(method, f"{path}?{urlencode(query)}" if query else path, headers, body)
        if not answer.ok:
            raise _refused(answer)
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return None
        try:
            found = answer.json()
        except RouterError:
            found = None
        if not isinstance(found, dict):
            raise _foreign(answer.status_code)
        return found

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: Any = None, content: bytes | None = None
    ) -> RoutedResponse:
        """Any answer, whatever its status. ``body``: sent as JSON. Raises RouterError without one."""
        lines = dict(headers)
        if not path.startswith("/"):
            raise RouterError(f"The path must begin with a slash, got {path!r}.", 0, "invalid_parameters", "path")
        if not _METHOD.fullmatch(method):
            raise RouterError(f"{method!r} is no method of HTTP.", 0, "invalid_parameters", "method")
        target = self._path + quote(path, safe=_VISIBLE)  # what is encoded already stays
        if body is not None:
            content = _encode(body)
            lines.setdefault("Content-Type", "application/json")
        made = HTTPSConnection if self._secure else HTTPConnection
        connection = made(self._host, self._port, timeout=self._timeout)
        try:
            connection.request(method, target, content, lines)
            response = connection.getresponse()
            received = response.read()
        except (OSError, HTTPException) as error:
            why = str(error) or type(error).__name__
            text = f"The gateway at {self.url} does not answer: {why}. Is it running, and is SLUICE_URL right?"
            raise RouterError(text) from None
        except ValueError as error:  # of a header
            raise RouterError(f"The request cannot be sent: {error}.") from None
        finally:
            connection.close()
        return RoutedResponse(response.status, {name.lower(): value for name, value in response.getheaders()}, received)


def _read_url(url: str) -> tuple[bool, str, int | None, str]:
    """Whether it is HTTPS, the host, the port and the path. Raises RouterError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as error:
        raise RouterError(f"The gateway's URL {url!r} (SLUICE_URL) is wrong: {error}.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise RouterError(f"The gateway's URL must begin with http:// or https://, got {url!r} (SLUICE_URL).")
    if parts.query or parts.fragment or not set(url) <= set(_VISIBLE):
        raise RouterError(f"The gateway's URL must have no query and no spaces, got {url!r} (SLUICE_URL).")
    return parts.scheme == "https", host, port, parts.path


def _encode(body: Any) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise RouterError(f"The body cannot be sent as JSON: {error}.", 0, "invalid_parameters") from None


def _foreign(status: int) -> RouterError:
    return RouterError(f"The answer has status {status} and is not the gateway's. Is SLUICE_URL right?", status)


def _refused(answer: RoutedResponse) -> RouterError:
    try:
        error = answer.json()["error"]
        message, code, param = str(error["message"]), error.get("code"), error.get("param")
    except (RouterError, KeyError, TypeError, AttributeError):
        return _foreign(answer.status_code)
    if answer.status_code == 401:
        message = f"{message} Check SLUICE_ADMIN_TOKEN or token=."
    return RouterError(message, answer.status_code, code, param)
