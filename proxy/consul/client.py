"""Requests to the Consul agent, which runs on this machine as a rule.

Sources: https://developer.hashicorp.com/consul/api-docs/api-structure, /api-docs/features/consistency
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from proxy.consul.settings import ConsulTarget
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from aiohttp import ClientSession

CONNECT_SECS: Final = 5.0
ANSWER_SECS: Final = 10.0  # beyond what the agent may wait
MOST_BYTES: Final = 64 * 1024 * 1024
LONGEST_REASON: Final = 200
JITTER_SHARE: Final = 16  # the agent waits up to a sixteenth longer than it was asked to

_TOO_MANY: Final = 429
_DENIED: Final = 403
_MISSING: Final = 404


class ConsulUnavailable(Exception):
    """The agent cannot be reached, or refuses: try again later. The text is for the log and for pages."""


class ConsulReply(Struct, frozen=True):
    """``status``: 200, 404, or 409 of a transaction. ``index``: of a blocking query; 0: none.

    ``led``: a leader was known. ``behind``: seconds since the server that answered heard from it. ``filtered``: the
    token may not see all of it.
    """

    status: int
    body: bytes
    index: int = 0
    led: bool = True
    behind: float = 0.0
    filtered: bool = False

    @property
    def found(self) -> bool:
        return self.status != _MISSING


class ConsulClient:
    """Connects when it is first used. ``connections``: at most, to one agent.

    ``tls`` makes the context of an https agent, and may raise OSError.
    """

    def __init__(self, target: ConsulTarget, tls: Callable[[], ssl.SSLContext], connections: int = 8) -> None:
        self._target = target
        self._tls = tls
        self._connections = connections
        self._session: ClientSession | None = None

    def __repr__(self) -> str:
        return f"<ConsulClient {self._target.url}>"

    async def get(self, path: str, params: Mapping[str, str] | None = None, wait: float = 0.0) -> ConsulReply:
        """``path``: below ``/v1/``. ``wait``: seconds that the agent may take, of a blocking query.

        Raises ConsulUnavailable, as all methods do.
        """
        return await self.send("GET", path, params, b"", wait)

    async def put(self, path: str, params: Mapping[str, str] | None = None, body: bytes = b"") -> ConsulReply:
        return await self.send("PUT", path, params, body)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self, method: str, path: str, params: Mapping[str, str] | None, body: bytes, wait: float = 0.0
    ) -> ConsulReply:
        from aiohttp import ClientError
        from yarl import URL

        limit = ANSWER_SECS + wait + wait / JITTER_SHARE
        query = dict(params or {})
        if self._target.datacenter:
            query.setdefault("dc", self._target.datacenter)
        url = URL(f"{self._target.url}/v1/{path}", encoded=True).update_query(query)
        try:
            async with (
                asyncio.timeout(limit),
                self._opened().request(method, url, data=body or None, allow_redirects=False) as response,
            ):
                content = bytearray()
                async for piece in response.content.iter_any():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise ConsulUnavailable(f"the answer is larger than {MOST_BYTES >> 20} MB")
                headers: Mapping[str, str] = response.headers
                status = response.status
        except TimeoutError:
            raise ConsulUnavailable(f"no answer within {limit:g} s") from None
        except (ClientError, OSError, ValueError) as error:
            raise ConsulUnavailable(_reason(error)) from None
        except ConfigError as error:
            raise ConsulUnavailable(" ".join(error.mistakes)) from None
        if status >= 400 and status not in (_MISSING, 409):
            raise ConsulUnavailable(_refusal(status, bytes(content)))
        return ConsulReply(
            status,
            bytes(content),
            index=_number(headers.get("X-Consul-Index")),
            led=headers.get("X-Consul-KnownLeader") != "false",
            behind=_number(headers.get("X-Consul-LastContact")) / 1000,
            filtered=headers.get("X-Consul-Results-Filtered-By-ACLs") == "true",
        )

    def _opened(self) -> ClientSession:
        if self._session is None:
            # A slow import, needed only here.
            from aiohttp import ClientSession, ClientTimeout, DummyCookieJar

            from proxy.consul.paced import paced_connector

            secure: Any = self._tls() if self._target.url.startswith("https:") else True
            headers = {"User-Agent": "sluice"}
            if self._target.token:
                headers["X-Consul-Token"] = str(self._target.token)
            self._session = ClientSession(
                connector=paced_connector(self._connections, secure),
                cookie_jar=DummyCookieJar(),
                headers=headers,
                timeout=ClientTimeout(total=None, sock_connect=CONNECT_SECS),
            )
        return self._session


def _number(text: str | None) -> int:
    """Of a header; 0 if it is missing or no number."""
    return int(text[:19]) if text and text.isascii() and text.isdecimal() else 0


def _refusal(status: int, content: bytes) -> str:
    words = " ".join(content[: 4 * LONGEST_REASON].decode("utf-8", "replace").split())[:LONGEST_REASON]
    if status == _DENIED:
        return f"the agent refuses the token: {words}"
    if status == _TOO_MANY:
        return "this machine has too many connections to the agent (limits.http_max_conns_per_client, 200)"
    return f"the agent answered {status}: {words}"


def _reason(error: Exception) -> str:
    cause = getattr(error, "os_error", error)
    named = cause.strerror if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) else None
    return named or f"{type(error).__name__}: {error}".strip(": ")[:LONGEST_REASON]
