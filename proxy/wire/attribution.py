"""Headers that say what a call belongs to: its labels, and the run of an agent with its parent and its cap.

``x-router-labels: ticket=ABC-1, team=web`` adds labels. The run is what ``x-router-run`` says, else the session that
Claude Code (``x-claude-code-session-id``) or Codex (``session-id``, before 2026 ``session_id``) sends.
``x-router-budget-usd: 0.50`` lowers what the run may cost.

Sub-agents of Claude Code share the session of their parent (``x-claude-code-parent-agent-id`` names an agent in it), so
nothing has to be joined. Those of Codex do too since it sends ``thread-id`` (seen with 0.171): the session is that of
the root, the thread the sub-agent. Before, and in programs with its older headers, a sub-agent has a session of its
own, and ``x-codex-parent-thread-id`` is the session of its parent.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, NoReturn

from multidict import CIMultiDictProxy, istr

from proxy.config.labels import MOST_LABELS, Labels, label_name, label_value, sorted_labels
from proxy.errors import ClientFault

LABELS: Final = istr("x-router-labels")  # an istr caches its lower case
RUN: Final = istr("x-router-run")
CLAUDE_CODE: Final = istr("x-claude-code-session-id")
CODEX: Final = istr("session-id")
OLDER_CODEX: Final = istr("session_id")
CODEX_THREAD: Final = istr("thread-id")
CODEX_PARENT: Final = istr("x-codex-parent-thread-id")
BUDGET: Final = istr("x-router-budget-usd")

# The parent and the thread count only beside a session.
HEADERS: Final = (LABELS, RUN, CLAUDE_CODE, CODEX, OLDER_CODEX, BUDGET)
LONGEST_RUN: Final = 128  # characters

NANO_DIGITS: Final = 9  # decimals of a USD that nano-USD have
BUDGET_PATTERN: Final = r"[0-9]{1,9}(\.[0-9]{1,20})?"
_budget = re.compile(BUDGET_PATTERN).fullmatch


def run_of(headers: CIMultiDictProxy[str]) -> str:
    """The run; ``""``: none is named. A name that is long or not printable becomes its SHA-256, never an error."""
    get = headers.get
    return short(get(RUN) or get(CLAUDE_CODE) or get(CODEX) or get(OLDER_CODEX) or "", LONGEST_RUN)


def parent_of(headers: CIMultiDictProxy[str], run: str) -> str:
    """The run whose sub-agent ``run`` is; ``""``: none is named, or both share one run."""
    parent = headers.get(CODEX_PARENT)
    if not parent:
        return ""
    session = headers.get(CODEX) or headers.get(OLDER_CODEX) or ""
    if headers.get(RUN) or headers.get(CLAUDE_CODE) or headers.get(CODEX_THREAD, session) != session:
        return ""
    parent = short(parent, LONGEST_RUN)
    return parent if run and parent != run else ""


def budget_of(headers: CIMultiDictProxy[str]) -> int | None:
    """The cap of the run in ``x-router-budget-usd``, in nano-USD, rounded down; ``None``: there is none.

    Raises ClientFault (400) naming the header.
    """
    if BUDGET not in headers:
        return None
    lines = headers.getall(BUDGET)
    text = lines[0].strip(" \t")
    if len(lines) > 1 or _budget(text) is None:
        _refuse(BUDGET, "must be an amount in USD such as 0.50, at most 999999999, without sign, unit and exponent.")
    if not run_of(headers):
        _refuse(BUDGET, f"caps a run, and the request names none: add the header '{RUN}'.")
    whole, _, decimals = text.partition(".")
    return int(whole + decimals[:NANO_DIGITS].ljust(NANO_DIGITS, "0"))


def labels_of(headers: CIMultiDictProxy[str]) -> Labels:
    """The labels in ``x-router-labels``, of all its lines. Raises ClientFault (400) naming the header."""
    if LABELS not in headers:
        return ()
    labels: dict[str, str] = {}
    for line in headers.getall(LABELS):
        for part in line.split(","):
            pair = part.strip(" \t")
            if pair:  # RFC 9110 5.6.1: empty elements of a list are ignored
                _add(labels, pair)
    return sorted_labels(labels)


def joined_labels(added: Labels, own: Labels) -> Labels:
    """Both; ``own`` take precedence, so that a client cannot override what its credential says."""
    return sorted_labels({**dict(added), **dict(own)}) if added and own else added or own


def short(text: str, most: int) -> str:
    """The text itself; its SHA-256 (64 hexadecimal digits) if it is longer than ``most``, or not printable."""
    if len(text) > most or not text.isprintable():
        return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return text


def _add(labels: dict[str, str], pair: str) -> None:
    name, equals, value = pair.partition("=")
    if not equals:
        _refuse_label("each label is name=value")
    try:
        name, value = label_name(name.rstrip(" \t")), label_value(value.lstrip(" \t"))
    except ValueError as error:
        _refuse_label(str(error))
    if name in labels:
        _refuse_label("a label's name occurs twice")
    if len(labels) == MOST_LABELS:
        _refuse_label(f"at most {MOST_LABELS} labels are allowed")
    labels[name] = value


def _refuse_label(reason: str) -> NoReturn:
    _refuse(LABELS, f"must be a list such as ticket=ABC-1, team=web: {reason}.")


def _refuse(header: istr, text: str) -> NoReturn:
    raise ClientFault(f"'{header}' {text}", param=str(header), code="invalid_value")
