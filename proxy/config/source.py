"""Where the configuration comes from, to load it again and again: files, environment, a list at a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from proxy.config import loader, remote
from proxy.config.loader import DEFAULT_PATH, Draft, Loaded, bare
from proxy.config.remote import Copy, FetchFailed
from proxy.config.watch import Stamp, stamp
from proxy.errors import ConfigError

ENV_FILE = Path(".env")
MOST_TOLD = 20  # of the mistakes in a list that somebody else wrote

Fetch = Callable[[str, Mapping[str, str]], Awaitable[bytes]]


class Source:
    """Loads as ``loader.load`` does, and asks the URL for models; ``env_file`` defaults to ``.env``, if it is there.

    ``amend`` has the last word: the command line's. ``stamps`` are those of the files when they were last read, or
    tried to be: what has another stamp now is worth loading.
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
        self._heard: bytes | None = None  # from the URL, good or not
        self._good: tuple[str, bytes] | None = None  # a URL and the list that was last taken from it

    @property
    def path(self) -> Path | None:
        """Of the file that was read last, or is to be read."""
        return self._path or self._found

    @property
    def environment(self) -> Mapping[str, str]:
        """The process's variables with those of the env file beneath them, as they were last read."""
        return self._environ if self._gathered is None else self._gathered

    async def load(self) -> Loaded:
        """Raises ``ConfigError`` with every mistake. Works in a thread, so that streams go on meanwhile."""
        draft = await self._read()
        if not draft.models_url:
            return self._amend(await asyncio.to_thread(loader.check, draft))
        try:
            fetched = await self._fetch(draft.models_url, draft.environment)
        except FetchFailed as failure:
            return self._amend(await asyncio.to_thread(self._check_without, draft, str(failure)))
        return self._amend(await asyncio.to_thread(self._check_with, draft, fetched))

    async def refresh(self) -> Loaded | None:
        """``load``, if the URL says anything new; ``None`` if not. Raises ``FetchFailed`` as well."""
        draft = await self._read()
        if not draft.models_url:
            return None
        fetched = await self._fetch(draft.models_url, draft.environment)
        if fetched == self._heard:
            return None
        return self._amend(await asyncio.to_thread(self._check_with, draft, fetched))

    async def _read(self) -> Draft:
        env_file = self._env_file or ENV_FILE  # unless it is named, it need not be there
        # Before the reading: what changes during it is seen as changed.
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
        self._heard = fetched
        try:
            loaded = loader.check(draft, fetched)
        except ConfigError as error:
            try:
                loaded = self._check_copy(draft)
            except ConfigError:
                # The list is not all that is wrong, or no other one is at hand.
                raise ConfigError(_bounded(error.mistakes)) from None
            kept = f"modelsFile: {bare(url)} has mistakes; the last good list stays"
            return replace(loaded, notices=[*loaded.notices, kept, *_bounded(error.mistakes)])
        notices = loaded.notices
        if self._good != (url, fetched):
            self._good = url, fetched
            if why_not := Copy(url, draft.environment).write(fetched):
                notices = [*notices, f"modelsFile: no copy of {bare(url)} can be kept: {why_not}"]
        return replace(loaded, notices=notices)

    def _check_without(self, draft: Draft, why: str) -> Loaded:
        line = f"modelsFile: {bare(draft.models_url)} {why}"
        loaded = self._check_copy(draft, line)
        return replace(loaded, notices=[*loaded.notices, f"{line}; the last good list stays"])

    def _check_copy(self, draft: Draft, missing: str = "") -> Loaded:
        """With the last good list. Raises ``ConfigError``, where there is none with ``missing`` as well."""
        url = draft.models_url
        good = self._good[1] if self._good is not None and self._good[0] == url else None
        content = good if good is not None else Copy(url, draft.environment).read()
        if content is not None:
            loaded = loader.check(draft, content)
            self._good = url, content
            return loaded
        try:
            loader.check(draft)  # what else is wrong
        except ConfigError as error:
            raise ConfigError([*error.mistakes, missing]) from None
        raise ConfigError([missing])


def _bounded(mistakes: list[str]) -> list[str]:
    more = len(mistakes) - MOST_TOLD
    return mistakes if more <= 0 else [*mistakes[:MOST_TOLD], f"and {more} more mistakes"]
