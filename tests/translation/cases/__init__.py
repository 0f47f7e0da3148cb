"""The cases of all features, by topic."""

from __future__ import annotations

from tests.translation.cases import answers, content, settings, special_tools, tools

CASES = [*content.CASES, *tools.CASES, *special_tools.CASES, *settings.CASES, *answers.CASES]
