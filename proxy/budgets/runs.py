"""Which run is the sub-agent of which, as their calls say: what a sub-agent spends counts for its parents, too."""

from __future__ import annotations

from typing import Final

MOST_RUNS: Final = 100_000  # sub-agents that are remembered
IDLE_SECS: Final = 24 * 3600.0  # after its last call, and that of its own sub-agents, a run is forgotten
DEEPEST: Final = 8  # runs in one line, the sub-agent included


class Lineage:
    """The parents of runs, bounded: the run without calls for the longest time is forgotten first.

    ``now`` is in seconds of any clock that does not go back.
    """

    def __init__(self, most: int = MOST_RUNS, idle: float = IDLE_SECS) -> None:
        self._most = most
        self._idle = idle
        self._found: dict[str, tuple[str, float]] = {}  # parent and time of the last call, the oldest call first

    def __len__(self) -> int:
        """The number of runs whose parent is known."""
        return len(self._found)

    def seen(self, run: str, parent: str, now: float) -> None:
        """Note a call of ``run``, which names ``parent``; ``""``: it names none, and a known parent remains."""
        found = self._found
        if parent and parent != run:
            found[run] = parent, now
        for name in self.ancestors(run):  # parents wait for their sub-agents, and must outlive them
            known = found.pop(name, None)
            if known is not None:
                found[name] = known[0], now
        while found:
            oldest = next(iter(found))
            if len(found) <= self._most and now - found[oldest][1] < self._idle:
                break
            del found[oldest]

    def ancestors(self, run: str) -> tuple[str, ...]:
        """The run itself, its parent, and so on up to the root: at most 8, and none of them twice."""
        known = self._found.get(run)
        if known is None:
            return (run,)
        line = [run]
        while known is not None and known[0] not in line and len(line) < DEEPEST:
            line.append(known[0])
            known = self._found.get(known[0])
        return tuple(line)
