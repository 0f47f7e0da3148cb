"""Labels and runs in the headers of a call."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.config.labels import LONGEST_LABEL, LONGEST_VALUE, MOST_LABELS
from proxy.errors import ClientFault
from proxy.wire.attribution import LONGEST_RUN, budget_of, joined_labels, labels_of, parent_of, run_of

NAMES = st.from_regex(rf"[A-Za-z0-9][A-Za-z0-9._/-]{{0,{LONGEST_LABEL - 1}}}", fullmatch=True)
VALUES = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=LONGEST_VALUE).filter(
    lambda text: "," not in text
)


def headers(*lines: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(lines))


def labels(*lines: str) -> tuple[tuple[str, str], ...]:
    return labels_of(headers(*(("X-Router-Labels", line) for line in lines)))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("b=2, a=1",), (("a", "1"), ("b", "2"))),
        (("a=1", "b=2"), (("a", "1"), ("b", "2"))),
        (("a = x y ",), (("a", "x y"),)),
        (("a=b=c",), (("a", "b=c"),)),
        ((",a=1, ,",), (("a", "1"),)),
        (("team/cost.Center_2-x=é",), (("team/cost.Center_2-x", "é"),)),
        (("",), ()),
        ((), ()),
    ],
)
def test_labels_are_a_list_of_pairs(lines: tuple[str, ...], found: tuple[tuple[str, str], ...]) -> None:
    assert labels(*lines) == found


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "=1",
        "a=",
        "a=1, a=1",
        "a b=1",
        "-a=1",
        "é=1",
        f"{'a' * (LONGEST_LABEL + 1)}=1",
        f"a={'1' * (LONGEST_VALUE + 1)}",
        "a=\udcff",
        "a=\x7f",
        "a=\u202e",
        ", ".join(f"a{number}=1" for number in range(MOST_LABELS + 1)),
    ],
)
def test_a_malformed_label_is_refused_with_the_name_of_the_header(line: str) -> None:
    with pytest.raises(ClientFault, match="'x-router-labels' must be a list such as") as refused:
        labels(line)
    assert (refused.value.status, refused.value.param) == (400, "x-router-labels")
    assert refused.value.message.isprintable()


@given(st.dictionaries(NAMES, VALUES, max_size=MOST_LABELS))
def test_valid_labels_are_read_back_sorted(expected: dict[str, str]) -> None:
    line = ",".join(f"{name}={value}" for name, value in expected.items())
    assert labels(line) == tuple(sorted(expected.items()))


@given(st.text(max_size=300))
def test_any_header_is_read_or_refused(line: str) -> None:
    try:
        found = labels(line)
    except ClientFault:
        return
    assert len(found) <= MOST_LABELS
    assert all(f"{name}{value}".isprintable() for name, value in found)


def test_a_label_of_the_credential_takes_precedence() -> None:
    own, added = (("team", "web"),), (("team", "ops"), ("ticket", "1"))
    assert joined_labels(added, own) == (("team", "web"), ("ticket", "1"))
    assert joined_labels((), own) is own
    assert joined_labels(added, ()) is added


@pytest.mark.parametrize(
    ("lines", "run"),
    [
        ([("x-router-run", "r-1"), ("X-Claude-Code-Session-Id", "c-1")], "r-1"),
        ([("x-router-run", ""), ("X-Claude-Code-Session-Id", "c-1")], "c-1"),
        ([("session-id", "s-1"), ("x-claude-code-session-id", "c-1")], "c-1"),
        ([("Session-Id", "s-1")], "s-1"),
        ([("session_id", "s-2")], "s-2"),
        ([("x-session-id", "other")], ""),
    ],
)
def test_the_run_is_the_first_header_that_names_one(lines: list[tuple[str, str]], run: str) -> None:
    assert run_of(headers(*lines)) == run


@given(st.text(min_size=1, max_size=300))
def test_a_run_is_never_refused_and_always_bounded(text: str) -> None:
    run = run_of(headers(("x-router-run", text)))
    assert run.isprintable()
    assert len(run) <= LONGEST_RUN
    assert run == text or run == sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


OLD_CODEX = ("session_id", "child")
PARENT = ("X-Codex-Parent-Thread-Id", "root")


@pytest.mark.parametrize(
    ("lines", "parent"),
    [
        ([OLD_CODEX, PARENT], "root"),
        ([("session-id", "child"), PARENT], "root"),
        ([("session-id", "child"), ("thread-id", "child"), PARENT], "root"),
        ([OLD_CODEX], ""),
        ([OLD_CODEX, ("x-codex-parent-thread-id", "")], ""),
        ([OLD_CODEX, ("x-codex-parent-thread-id", "child")], ""),
        ([PARENT], ""),
    ],
)
def test_the_parent_of_a_session_of_its_own_is_the_thread_that_codex_names(
    lines: list[tuple[str, str]], parent: str
) -> None:
    found = headers(*lines)
    assert parent_of(found, run_of(found)) == parent


@pytest.mark.parametrize(
    "lines",
    [
        [("session-id", "root"), ("thread-id", "grandchild"), ("x-codex-parent-thread-id", "child")],
        [("x-router-run", "nightly"), OLD_CODEX, PARENT],
        [("x-claude-code-session-id", "s"), OLD_CODEX, PARENT],
        [("x-claude-code-session-id", "s"), ("x-claude-code-parent-agent-id", "a")],
    ],
)
def test_sub_agents_that_share_the_run_of_their_parent_have_no_parent(lines: list[tuple[str, str]]) -> None:
    found = headers(*lines)
    assert parent_of(found, run_of(found)) == ""


@given(st.text(min_size=1, max_size=300))
def test_a_parent_is_named_as_its_own_calls_name_it(text: str) -> None:
    found = headers(OLD_CODEX, ("x-codex-parent-thread-id", text))
    assert parent_of(found, "child") == ("" if text == "child" else run_of(headers(("session_id", text))))


def budget(*lines: str) -> int | None:
    return budget_of(headers(("x-router-run", "r"), *(("X-Router-Budget-USD", line) for line in lines)))


@pytest.mark.parametrize(
    ("line", "nano"),
    [
        ("0.50", 500_000_000),
        (" 5 ", 5_000_000_000),
        ("0", 0),
        ("00.000000001", 1),
        ("0.0000000019", 1),
        ("0.30000000000000004", 300_000_000),
        ("999999999.999999999", 10**18 - 1),
    ],
)
def test_a_budget_is_read_exactly_and_rounded_down(line: str, nano: int) -> None:
    assert budget(line) == nano


def test_without_the_header_a_run_has_no_budget_of_its_own() -> None:
    assert budget() is None


@pytest.mark.parametrize(
    "line",
    ["", "-1", "+1", "$1", "1 USD", "1,5", ".5", "1.", "1e-3", "nan", "\u0663", "1000000000", f"0.{'0' * 21}", "1\n"],
)
def test_a_malformed_budget_is_refused_with_the_name_of_the_header(line: str) -> None:
    with pytest.raises(ClientFault, match="'x-router-budget-usd' must be an amount in USD such as") as refused:
        budget(line)
    assert (refused.value.status, refused.value.param) == (400, "x-router-budget-usd")
    assert refused.value.code == "invalid_value"


def test_two_budgets_are_refused() -> None:
    with pytest.raises(ClientFault, match="'x-router-budget-usd' must be an amount in USD such as"):
        budget("1", "1")


def test_a_budget_without_a_run_is_refused() -> None:
    with pytest.raises(ClientFault, match="add the header 'x-router-run'"):
        budget_of(headers(("x-router-budget-usd", "1")))


@given(st.decimals(0, 999_999_999, places=9))
def test_every_amount_in_nano_usd_can_be_a_budget(amount: Decimal) -> None:
    assert budget(f"{amount:f}") == int(amount * 10**9)
