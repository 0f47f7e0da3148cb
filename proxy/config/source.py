"""The source of the configuration for loading and reloading: files, environment, models and prices at URLs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from proxy.config import loader, remote
from proxy.config.environment import ENV_FILE
from proxy.config.loader import DEFAULT_PATH, Draft, Loaded, bare
from proxy.config.price_source import PriceSource
from proxy.config.remote import Copy, FetchFailed
from proxy.config.watch import Stamp, stamp
from proxy.errors import ConfigError

MOST_REPORTED = 20  # mistakes in a list from a URL

Fetch = Callable[[str, Mapping[str, str]], Awaitable[bytes]]


class Source:
    """Loads as ``loader.load`` does, and fetches the model list. ``env_file`` defaults to ``.env`` if that exists.

    ``amend`` applies the command line last. ``stamps``: of the files when they were last read; a file with another
    stamp has changed.
    """

    def __init__(
        self,
        path: Path | None,
        environ: Mapping[str, str],
        env_file: Path | None = None,
        amend: Callable[[Loaded], Loaded] = lambda loaded: loaded,
        fetch: Fetch = remote.fetch,
    ) -> None:
        self.stamps: dict[Path, Stamp | None] = {}
        self._path = path
        self._found: Path | None = None
        self._environ = environ
        self._gathered: Mapping[str, str] | None = None
        self._env_file = env_file
        self._amend = amend
        self._fetch = fetch
        self._fetched: bytes | None = None  # from the URL, valid or not
        self._valid: tuple[str, bytes] | None = None  # a URL and its last valid list
        self._prices = PriceSource(fetch)

    @property
    def path(self) -> Path | None:
        """The file that was read last, or will be read."""
        return self._path or self._found

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of the process and of the ``.env`` file, as last read."""
        return self._environ if self._gathered is None else self._gathered

    async def load(self) -> Loaded:
        """Load everything, in a thread so that streams continue. Raises ``ConfigError`` with all mistakes."""
        loaded = self._amend(await self._checked(await self._read()))
        notices = await self._prices.load(loaded.config.prices_url, self.environment)
        return replace(loaded, notices=[*loaded.notices, *notices], prices=self._prices.document)

    async def refresh(self) -> Loaded | None:
        """``load`` if the list at the URL has changed, else ``None``. Also raises ``FetchFailed``."""
        draft = await self._read()
        if not draft.models_url:
            return None
        fetched = await self._fetch(draft.models_url, draft.environment)
        if fetched == self._fetched:
            return None
        loaded = self._amend(await asyncio.to_thread(self._check_with, draft, fetched))
        return replace(loaded, prices=self._prices.document)

    async def refresh_prices(self) -> Loaded | None:
        """``load`` if the prices at the URL have changed, else ``None``. Also raises ``FetchFailed``."""
        return await self.load() if await self._prices.changed(self.environment) else None

    async def _checked(self, draft: Draft) -> Loaded:
        if not draft.models_url:
            return await asyncio.to_thread(loader.check, draft)
        try:
            fetched = await self._fetch(draft.models_url, draft.environment)
        except FetchFailed as failure:
            return await asyncio.to_thread(self._check_without, draft, str(failure))
        return await asyncio.to_thread(self._check_with, draft, fetched)

    async def _read(self) -> Draft:
        env_file = self._env_file or ENV_FILE  # the default may be missing
        # Before reading, so that changes during it are detected.
        first = self._path or self._found or DEFAULT_PATH
        stamps = {path: stamp(path) for path in (first, env_file)}
        self.stamps |= stamps
        given = env_file if self._env_file is not None or stamps[env_file] is not None else None
        draft = await asyncio.to_thread(loader.read, self._path, self._environ, given)
        self._found = draft.path
        self._gathered = draft.environment
        if draft.path is not None and draft.path != first:
            stamps[draft.path] = stamp(draft.path)
            del stamps[first]
        if draft.models and not draft.models_url:
            stamps[Path(draft.models)] = stamp(Path(draft.models))
        self.stamps = stamps
        return draft

    def _check_with(self, draft: Draft, fetched: bytes) -> Loaded:
        url = draft.models_url
        self._fetched = fetched
        try:
            loaded = loader.check(draft, fetched)
        except ConfigError as error:
            try:
                loaded = self._check_copy(draft)
            except ConfigError:
                # There are other mistakes, or there is no copy.
                raise ConfigError(_bounded(error.mistakes)) from None
            kept = f"modelsFile: {bare(url)} has mistakes; the last valid list stays in use"
            return replace(loaded, notices=[*loaded.notices, kept, *_bounded(error.mistakes)])
        notices = loaded.notices
        if self._valid != (url, fetched):
            self._valid = url, fetched
            if why_not := Copy(url, draft.environment).write(fetched):
                notices = [*notices, f"modelsFile: {bare(url)} cannot be cached: {why_not}"]
        return replace(loaded, notices=notices)

    def _check_without(self, draft: Draft, why: str) -> Loaded:
        line = f"modelsFile: {bare(draft.models_url)} {why}"
        loaded = self._check_copy(draft, line)
        return replace(loaded, notices=[*loaded.notices, f"{line}; the last valid list stays in use"])

    def _check_copy(self, draft: Draft, missing: str = "") -> Loaded:
        """Check with the last valid list. Raises ``ConfigError``, with ``missing`` if there is no such list."""
        url = draft.models_url
        good = self._valid[1] if self._valid is not None and self._valid[0] == url else None
        content = good if good is not None else Copy(url, draft.environment).read()
        if content is not None:
            loaded = loader.check(draft, content)
            self._valid = url, content
            return loaded
        try:
            loader.check(draft)  # for other mistakes
        except ConfigError as error:
            raise ConfigError([*error.mistakes, missing]) from None
        raise ConfigError([missing])


def _bounded(mistakes: list[str]) -> list[str]:
    more = len(mistakes) - MOST_REPORTED
    return mistakes if more <= 0 else [*mistakes[:MOST_REPORTED], f"and {more} more mistakes"]
