"""All features of the tables, and the cases that they make."""

from __future__ import annotations

from tests.translation.cases import (
    answers,
    caching,
    content,
    formats,
    metadata,
    reasoning,
    settings,
    special_tools,
    tool_choices,
    tools,
)
from tests.translation.cells import Case, Feature

FEATURES: list[Feature] = [
    *content.FEATURES,
    *tools.FEATURES,
    *tool_choices.FEATURES,
    *special_tools.FEATURES,
    *reasoning.FEATURES,
    *answers.FEATURES,
    *formats.FEATURES,
    *settings.FEATURES,
    *caching.FEATURES,
    *metadata.FEATURES,
]
CASES: list[Case] = [case for feature in FEATURES for case in feature.cases()]
