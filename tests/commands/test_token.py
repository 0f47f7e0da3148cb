"""``sluice token new``: what it prints, and how it fails."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
import pytest

from proxy.__main__ import main
from tests.config.texts import SECRET


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    return tmp_path


def made(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    """The claims of the printed token."""
    assert main(["token", "new", "--sub", "alice", *words]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    claims: dict[str, object] = jwt.decode(shown.out.strip(), SECRET, ["HS256"])
    return claims


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["token", "new", "--sub", "alice", *words]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def life(claims: dict[str, object]) -> int:
    """Minutes."""
    end, begin = claims["exp"], claims["iat"]
    assert isinstance(end, int)
    assert isinstance(begin, int)
    assert abs(begin - time.time()) < 300
    return (end - begin) // 60


def test_the_secret_of_the_environment_signs_for_half_an_hour(capsys: pytest.CaptureFixture[str]) -> None:
    claims = made(capsys)
    assert claims["sub"] == "alice"
    assert life(claims) == 30


def test_the_life_is_that_of_the_option_else_of_the_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "7")
    assert life(made(capsys)) == 7
    assert life(made(capsys, "--minutes", "90")) == 90


def test_the_env_file_and_the_configuration_are_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JWT_SECRET_KEY")
    (folder / ".env").write_text(f"JWT_SECRET_KEY={SECRET}\n")
    assert life(made(capsys)) == 30
    (folder / "c.yaml").write_text(
        f"auth: {{mode: jwt, jwt: {{secret: '{SECRET}', tokenMinutes: 3, issuer: me, claims: {{client: user.id}}}}}}"
    )
    claims = made(capsys, "--config", "c.yaml")
    assert (claims["iss"], claims["user"], life(claims)) == ("me", {"id": "alice"}, 3)


def test_claims_are_json_else_text(capsys: pytest.CaptureFixture[str]) -> None:
    claims = made(capsys, "--claim", "team=red=1", "--claim", 'models=["a", "b"]', "--claim", "org.n=5")
    assert (claims["team"], claims["models"], claims["org"]) == ("red=1", ["a", "b"], {"n": 5})


def test_a_token_that_the_gateway_would_refuse_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "would refuse it: the claim scope is neither text" in refused(capsys, "--claim", "scope=5")
    assert "the claim exp is set by another option" in refused(capsys, "--claim", "exp=5")


def test_without_a_usable_secret_a_sentence_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "c.yaml").write_text("auth: {mode: jwt, jwt: {jwksUrl: 'https://id.example.org/keys'}}")
    assert "the tokens of auth.jwt.jwksUrl are signed with a private key" in refused(capsys, "--config", "c.yaml")
    monkeypatch.setenv("JWT_SECRET_KEY", "short")
    assert refused(capsys) == "environment: JWT_SECRET_KEY: must have at least 32 bytes\n"
    monkeypatch.delenv("JWT_SECRET_KEY")
    assert "auth.jwt.secret: is missing" in refused(capsys)


def test_another_algorithm_than_that_of_the_secret_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_ALGORITHM", "RS256")
    assert "JWT_ALGORITHM: RS256 needs publicKeyFile or jwksUrl, not a secret" in refused(capsys)


def test_a_gateway_that_asks_for_no_token_gets_a_notice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.yaml").write_text(f"auth: {{mode: none, jwt: {{secret: '{SECRET}'}}}}")
    assert main(["token", "new", "--sub", "alice", "--config", "c.yaml"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count(".") == 2
    assert shown.err == "notice: auth.mode is none, so the gateway accepts no token\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: --sub"),
        (["--sub", " "], "expected the name of a client"),
        (["--sub", "a", "--minutes", "0"], "expected a whole number of minutes from 1 to 999999999, got '0'"),
        (["--sub", "a", "--minutes", "1.5"], "expected a whole number of minutes"),
        (["--sub", "a", "--claim", "team"], "expected NAME=VALUE, got 'team'"),
        (["--sub", "a", "--claim", "=x"], "expected NAME=VALUE"),
    ],
)
def test_wrong_options_are_explained(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["token", "new", *words])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err
