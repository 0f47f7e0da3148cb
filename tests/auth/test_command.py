"""Creating keys on the command line, and their configuration entries."""

from __future__ import annotations

import argparse
import getpass
import io
import re

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth import command
from proxy.auth.apikey import hash_of, of_configuration
from proxy.config.environment import substitute
from proxy.config.schema import ConfiguredKey


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser("sluice")
    command.add_parsers(parser.add_subparsers(dest="command"))
    return parser.parse_args(["key", *words])


def made(*words: str) -> tuple[str, ConfiguredKey]:
    """The secret and the entry that ``sluice key new`` prints."""
    out = io.StringIO()
    assert command.new(parsed("new", *words), out) == 0
    secret = re.search(r"^  (sk-\S+)$", out.getvalue(), re.MULTILINE)
    assert secret is not None
    _, _, lines = out.getvalue().partition("auth.keys:\n")
    (entry,) = yaml.safe_load("auth:\n  keys:" + lines)["auth"]["keys"]
    return secret[1], msgspec.convert(_filled(entry), ConfiguredKey)


def _filled(entry: object) -> object:
    """As the loader puts the environment in."""
    if isinstance(entry, str):
        return substitute(entry, {}).text
    if isinstance(entry, list):
        return [_filled(item) for item in entry]
    return {key: _filled(value) for key, value in entry.items()} if isinstance(entry, dict) else entry


def test_a_new_key_is_shown_once_and_its_entry_holds_its_hash() -> None:
    out = io.StringIO()
    command.new(parsed("new", "--name", "alice"), out)
    secret, _ = made()
    assert len(re.findall(r"sk-[A-Za-z0-9_-]{43}", out.getvalue())) == 1
    assert secret not in out.getvalue()
    secret, entry = made("--name", "alice")
    assert (entry.name, entry.hash) == ("alice", hash_of(secret))


def test_every_option_is_printed() -> None:
    _, entry = made("--name", "no", "--owner", "team ${X}: #1", "--expires", "2030-01-01", "--model", "gpt-*", "--model", "*", "--provider", "openai", "--passthrough")  # fmt: skip
    assert (entry.name, entry.owner, entry.models, entry.providers) == (
        "no",
        "team ${X}: #1",
        ["gpt-*", "*"],
        ["openai"],
    )
    assert entry.scopes == ["passthrough"]
    (key,) = of_configuration([entry])
    assert key.expires_at == 1893456000.0


def test_options_of_accounting_are_printed_and_accepted() -> None:
    _, entry = made("--team", "web", "--project", "no", "--label", "ticket=ABC=1", "--label", "a=${X}")
    assert (entry.team, entry.project, entry.labels) == ("web", "no", {"ticket": "ABC=1", "a": "${X}"})


@pytest.mark.parametrize("text", ["a", "=1", "a=", "a b=1", "a=\n"])
def test_a_malformed_label_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("new", "--label", text)
    assert "argument --label: a label's " in capsys.readouterr().err


def test_a_key_without_options_allows_all_but_passthrough_and_has_a_unique_name() -> None:
    (_, first), (_, second) = made(), made()
    assert first.name != second.name
    assert (first.owner, first.expires, first.models, first.providers, first.scopes) == ("", "", [], [], [])


names = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs", "Cn", "Co", "Cf"]), min_size=1, max_size=20
)


@given(names, st.lists(names, max_size=3))
def test_any_name_survives_the_configuration_round_trip(name: str, models: list[str]) -> None:
    _, entry = made(f"--name={name}", *(f"--model={model}" for model in models))
    assert (entry.name, entry.models) == (name, models)


@pytest.mark.parametrize(
    "words",
    [["--name", ""], ["--name", " a"], ["--name", "a\nb"], ["--name", "a" * 201], ["--expires", "soon"], ["--expires", "2030-01-01T00:00"], ["--model", ""]],
)  # fmt: skip
def test_values_that_the_configuration_rejects_are_rejected(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed("new", *words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_an_existing_key_is_read_from_standard_input() -> None:
    secret, entry = made()
    out = io.StringIO()
    assert command.hash_(parsed("hash"), io.StringIO(f"  {secret}\nmore\n"), out) == 0
    assert out.getvalue() == f"{entry.hash}\n"


def test_a_terminal_prompts_without_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "sk-typed-without-any-echo")
    out = io.StringIO()
    assert command.hash_(parsed("hash"), Terminal(), out) == 0
    assert out.getvalue() == f"{hash_of('sk-typed-without-any-echo')}\n"


@pytest.mark.parametrize("text", ["", "\n", "too-short", "sk-with a space inside it", "sk-ünïcode-is-no-header-text"])
def test_invalid_or_weak_keys_are_rejected_without_quoting_them(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    assert command.hash_(parsed("hash"), io.StringIO(text), out) == 1
    complaint = capsys.readouterr().err
    assert out.getvalue() == ""
    assert complaint.startswith("sluice key hash: ")
    assert not text.strip() or text.strip() not in complaint


def test_the_command_writes_to_stdout_and_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-from-a-pipe-long-enough\n"))
    assert command.main(parsed("hash")) == 0
    assert capsys.readouterr().out == f"{hash_of('sk-from-a-pipe-long-enough')}\n"
    assert command.main(parsed("new", "--name", "alice")) == 0
    assert "name: alice" in capsys.readouterr().out
