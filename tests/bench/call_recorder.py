"""Run the gateway and record its Python calls: started as a script by ``calls.py``, in the checkout that is measured."""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

OUT = "SLUICE_CALLS"  # the variable that names the file for what was found


class CallRecorder:
    """Record calls between two signals: SIGUSR1 begins, SIGUSR2 ends and writes them to a file as JSON."""

    def __init__(self, found: Path) -> None:
        self._found = found
        self._calls: list[tuple[int, CodeType]] = []
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._end)

    def _begin(self, *_: object) -> None:
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        depth, above = 0, frame.f_back
        while above is not None:
            depth, above = depth + 1, above.f_back
        self._calls.append((depth, frame.f_code))

    def _end(self, *_: object) -> None:
        sys.setprofile(None)
        steps = [(depth, code.co_filename, code.co_qualname) for depth, code in self._calls]
        temporary = self._found.with_suffix(".part")
        temporary.write_text(json.dumps(steps))
        temporary.rename(self._found)


if __name__ == "__main__":
    CallRecorder(Path(os.environ[OUT]))
    runpy.run_module("proxy", run_name="__main__")
