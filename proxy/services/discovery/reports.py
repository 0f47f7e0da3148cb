"""Log lines on sources that fail, and on those that answer again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proxy.services.discovery.following import FollowedSource


class SourceReports:
    """One line for all sources of a technology that have failed since the last look, with the reason of the first."""

    def __init__(self, warn: Callable[..., None], info: Callable[..., None]) -> None:
        self._warn = warn
        self._info = info

    def look(self, sources: Iterable[FollowedSource]) -> None:
        failed: dict[str, list[FollowedSource]] = {}
        back: dict[str, list[FollowedSource]] = {}
        for each in sources:
            state = each.state
            if state.up:
                if each.was_up is False:
                    back.setdefault(each.technology, []).append(each)
                each.was_up = True
            elif state.error and each.was_up is not False:
                failed.setdefault(each.technology, []).append(each)
                each.was_up = False
        for name, some in failed.items():
            first = some[0]
            self._warn(
                "A source of addresses does not answer; the last addresses stay.",
                source=name,
                services=len(some),
                service=first.service,
                why=first.state.error,
            )
        for name, some in back.items():
            self._info("A source of addresses answers again.", source=name, services=len(some), service=some[0].service)
