"""Fetching a list from a URL, of models or of prices, and keeping its last valid copy on disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config.proxies import proxy_url

if TYPE_CHECKING:
    from aiohttp import ClientResponse

MAX_BYTES = 8 * 1024 * 1024
TIMEOUT_SECS = 10.0  # in total, including redirects; the start waits for it
MAX_REDIRECTS = 5


class FetchFailed(Exception):
    """The list could not be fetched. The text is the reason, without the URL."""


async def fetch(url: str, environ: Mapping[str, str]) -> bytes:
    """The content at ``url``, at most ``MAX_BYTES``. Raises ``FetchFailed``.

    ``environ`` names proxies, as for providers. Redirects must keep the scheme, so that TLS is not lost.
    """
    # Imported here, as it is slow and most configurations do not need it.
    from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientSSLError, ClientTimeout
    from yarl import URL

    here = URL(url, encoded=True)
    timeout = ClientTimeout(total=TIMEOUT_SECS)
    try:
        async with ClientSession(timeout=timeout, headers={"Accept-Encoding": "identity"}) as session:
            for _ in range(MAX_REDIRECTS + 1):
                proxy = proxy_url(str(here), environ)
                async with session.get(here, proxy=proxy, allow_redirects=False) as response:
                    if response.status not in (301, 302, 303, 307, 308):
                        return await bounded(response, MAX_BYTES)
                    there = here.join(URL(response.headers.get("Location", "")))
                if there.scheme != here.scheme:
                    raise FetchFailed(f"redirects from {here.scheme} to {there.scheme or 'nowhere'}")
                here = there
    except TimeoutError:
        raise FetchFailed(f"did not complete within {TIMEOUT_SECS:g} s") from None
    except ClientSSLError:
        raise FetchFailed("cannot be reached: TLS failed, or its certificate is not valid") from None
    except ClientConnectorError as error:
        raise FetchFailed(f"cannot be reached: {error.os_error.strerror or 'no connection'}") from None
    except (ClientError, ValueError) as error:  # its text may contain the URL
        raise FetchFailed(f"cannot be fetched: {type(error).__name__}") from None
    raise FetchFailed(f"redirects more than {MAX_REDIRECTS} times")


async def bounded(response: ClientResponse, most: int) -> bytes:
    """The body of a 200 response, at most ``most`` bytes. Raises ``FetchFailed``."""
    if response.status != 200:
        raise FetchFailed(f"answers with status {response.status}")
    found = bytearray()
    async for piece in response.content.iter_any():
        found += piece
        if len(found) > most:
            raise FetchFailed(f"is larger than {f'{most >> 20} MB' if most >> 20 else f'{most >> 10} KB'}")
    return bytes(found)


class Copy:
    """The last valid list of ``url``, for when it cannot be fetched.

    It is in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``; ``None`` if neither is known), since the
    configuration's folder is often read-only or under version control.
    """

    def __init__(self, url: str, environ: Mapping[str, str], name: str = "models-{}.yaml") -> None:
        digest = hashlib.sha256(url.encode()).hexdigest()[:32]
        folder = _caches(environ)
        self.path = None if folder is None else folder / "sluice" / name.format(digest)

    def read(self) -> bytes | None:
        """The copy; ``None`` if there is none."""
        if self.path is None:
            return None
        try:
            with self.path.open("rb") as stream:
                found = stream.read(MAX_BYTES + 1)
        except OSError:
            return None
        return found if len(found) <= MAX_BYTES else None

    def write(self, content: bytes) -> str:
        """Write the copy atomically, readable only by its owner. Returns ``""``, or the reason of a failure."""
        if self.path is None:
            return "neither XDG_CACHE_HOME nor HOME is set"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, made = tempfile.mkstemp(dir=self.path.parent)  # mode 0600
            try:
                with open(handle, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(made, self.path)
            except BaseException:
                os.unlink(made)
                raise
        except OSError as error:
            return f"{self.path.parent}: {error.strerror}"
        return ""


def _caches(environ: Mapping[str, str]) -> Path | None:
    # The XDG base directory specification: a relative path there is to be ignored.
    named = environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return Path(named)
    home = environ.get("HOME", "")
    return Path(home, ".cache") if os.path.isabs(home) else None
