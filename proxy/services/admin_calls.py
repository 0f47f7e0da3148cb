"""Plain HTTP calls of the Python client: the standard library only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

DEFAULT_URL: Final = "http://127.0.0.1:8080"
_NO_TOKEN: Final = (
    "There is no admin token. Set SLUICE_ADMIN_TOKEN, or pass token=. "
    "It is admin.token of the gateway's configuration, or else in its file data/admin-token."
)


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
        return json.loads(self.content)


class AdminCalls:
    """``url`` and ``token``: by default SLUICE_URL and SLUICE_ADMIN_TOKEN. ``timeout``: seconds for each step."""

    def __init__(self, url: str | None, token: str | None, timeout: float) -> None:
        self.url = (url or os.environ.get("SLUICE_URL") or DEFAULT_URL).rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RouterError(f"The gateway's URL must begin with http:// or https://, got {self.url!r} (SLUICE_URL).")
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path
        self._secure = parts.scheme == "https"
        self._token = token or os.environ.get("SLUICE_ADMIN_TOKEN", "")
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<AdminCalls {self.url}>"

    def call(self, method: str, path: str, body: Any = None, query: Mapping[str, object] | None = None) -> Any:
        """The JSON of an answer; ``None``: it has no body. Raises RouterError."""
        if not self._token:
            raise RouterError(_NO_TOKEN)
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self.send(method, f"{path}?{urlencode(query)}" if query else path, headers, body)
        if not answer.ok:
            raise _refused(answer)
        return answer.json() if answer.content else None

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: Any = None, content: bytes | None = None
    ) -> RoutedResponse:
        """Any answer, whatever its status. ``body``: sent as JSON. Raises RouterError without one."""
        lines = dict(headers)
        if body is not None:
            content = json.dumps(body).encode()
            lines.setdefault("Content-Type", "application/json")
        made = HTTPSConnection if self._secure else HTTPConnection
        connection = made(self._host, self._port, timeout=self._timeout)
        try:
            connection.request(method, self._path + path, content, lines)
            response = connection.getresponse()
            received = response.read()
        except (OSError, HTTPException) as error:
            why = str(error) or type(error).__name__
            text = f"The gateway at {self.url} does not answer: {why}. Is it running, and is SLUICE_URL right?"
            raise RouterError(text) from None
        finally:
            connection.close()
        return RoutedResponse(response.status, {name.lower(): value for name, value in response.getheaders()}, received)


def _refused(answer: RoutedResponse) -> RouterError:
    try:
        error = answer.json()["error"]
        message, code, param = str(error["message"]), error.get("code"), error.get("param")
    except (ValueError, KeyError, TypeError, AttributeError):
        text = f"The answer has status {answer.status_code} and is not the gateway's. Is SLUICE_URL right?"
        return RouterError(text, answer.status_code)
    if answer.status_code == 401:
        message = f"{message} Check SLUICE_ADMIN_TOKEN or token=."
    return RouterError(message, answer.status_code, code, param)
