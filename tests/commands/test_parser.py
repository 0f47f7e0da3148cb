"""Options, help and usage, without a process."""

from __future__ import annotations

import pytest

from proxy.__main__ import main
from proxy.config.variables import VARIABLES
from proxy.demo.models import MODELS


def shown_help(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main([*args, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_help_shows_commands_examples_and_variables(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown_help(capsys)
    for word in (
        "serve",
        "check",
        "demo",
        "curl -N",
        '{"model": "',
        "ROUTER_CONFIG_PATH",
        "${NAME:-default}",
        *(f" {variable.name} " for variable in VARIABLES),
    ):
        assert word in text


@pytest.mark.parametrize("command", ["serve", "check", "demo"])
def test_every_command_has_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown_help(capsys, command)
    assert "--port PORT" in text
    assert ("--config" in text) is (command != "demo")


def test_the_help_of_the_demo_explains_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown_help(capsys, "demo").splitlines()
    for model in MODELS:
        assert any(line.split()[:1] == [model.name] and model.description in line for line in lines), model.name


@pytest.mark.parametrize(
    "args", [[], ["nothing"], ["serve", "--port", "70000"], ["serve", "--port", "-1"], ["check", "x"]]
)
def test_wrong_usage_ends_in_status_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2
    assert "usage: sluice" in capsys.readouterr().err
