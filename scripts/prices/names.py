"""Names of models out of the conditions by which genai-prices matches them.

Its conditions are wider than a bill allows: ``starts_with: claude-3-opus`` would be right for any model that will ever
begin so. Here they become keys as ``proxy.pricing.vendors.keys`` has them: exact names, of which some may have a date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scripts.prices.genai import Node

# ^claude-opus-5[-@]\d{8}$, ^gpt-6-sol-\d{4}-\d{2}-\d{2}$, ^gemini-4-argon-\d
_DATED = re.compile(r"\^(?P<stem>(?:[\w:/-]|\\\.)+?)(?:-|\[-@\])\\d(?:\{\d\})?(?:-\\d\{2\})*\$?")
_YEAR = re.compile(r"-20\d\d-?$")


def keys_of(match: Node) -> list[str]:
    """The keys of a model, without duplicates. Conditions that only exclude names have none."""
    found = list(_keys(match))
    # gemini-2.0-flash and gemini-2.0-flash-0…: the names that Google ends with -001
    found += [f"{key}*" for key in found if key.startswith("*gemini") and f"{key}-0*" in found]
    return list(dict.fromkeys(found))


def matches(match: Node, name: str) -> bool:
    """Whether genai-prices takes this name for the model."""
    members = match.members
    match match.kind:
        case "ClauseOr":
            return any(matches(each, name) for each in members["or_"])
        case "ClauseAnd":
            return all(matches(each, name) for each in members["and_"])
        case "ClauseEquals":
            return name == str(members["equals"]).lower()
        case "ClauseStartsWith":
            return name.startswith(str(members["starts_with"]).lower())
        case "ClauseEndsWith":
            return name.endswith(str(members["ends_with"]).lower())
        case "ClauseContains":
            return str(members["contains"]).lower() in name
        case "ClauseRegex":
            return re.search(members["regex"], name) is not None
    raise ValueError(f"unknown condition {match.kind}")


def _keys(match: Node) -> Iterator[str]:
    members = match.members
    match match.kind:
        case "ClauseOr" | "ClauseAnd":
            for each in members.get("or_") or members.get("and_") or ():
                yield from _keys(each)
        case "ClauseEquals":
            yield str(members["equals"]).lower()
        case "ClauseStartsWith":
            yield f"{_stem(members['starts_with'])}*"
        case "ClauseContains":
            yield f"*{_stem(members['contains'])}*"
        case "ClauseEndsWith":
            yield f"*{_stem(members['ends_with'])}"
        case "ClauseRegex":
            if dated := _DATED.fullmatch(members["regex"]):
                yield f"{dated['stem'].replace(chr(92), '').lower()}*"


def _stem(text: str) -> str:
    """The name itself, where the condition ends within what follows it."""
    return _YEAR.sub("", text.lower().lstrip("/")).rstrip("-@:")
