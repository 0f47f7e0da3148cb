"""The command line as a user meets it: a process, its output and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.__main__ import main
from proxy.config.known_providers import NONE_USABLE
from tests.support import until
from tests.support.command_line import Sluice, sluice_in
from tests.support.gateway import GatewayProcess

ROOT = Path(__file__).resolve().parents[1]
SECRET = "sk-aVeryWellKeptSecret"


@pytest.fixture
def sluice(tmp_path: Path) -> Sluice:
    return sluice_in(tmp_path)


CONFIG = """\
providers:
  up: {baseUrl: http://127.0.0.1:9/v1, apiKey: "${UP_KEY}", headers: {X-Key: "${UP_KEY}"}}
  local: {baseUrl: http://127.0.0.1:11434/v1}
  out: {baseUrl: http://out, apiKey: "${OUT_KEY}"}
models:
  - {name: m, provider: up, model: vendor/m}
  - {name: n, provider: local, available: false}
  - {name: o, provider: out}
"""


def test_check_prints_what_would_run_and_no_key(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG)
    done = sluice("check", "--config", "c.yaml", UP_KEY=SECRET, LISTEN_PORT="9000")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "configuration: c.yaml",
        "address: http://127.0.0.1:9000",
        "providers:",
        "  up  http://127.0.0.1:9/v1  key ********",
        "  local  http://127.0.0.1:11434/v1  no key",
        "models:",
        "  m  at up  as vendor/m",
        "  n  at local  (not available)",
        "clients: anybody who can reach the address",
        "limits: none",
        "budgets: none",
        "environment: in force: LISTEN_PORT",
        'notice: provider "out" left out: its apiKey is empty (set OUT_KEY)',
        "notice: c.yaml: 1 model of out left out: it has no key (set OUT_KEY)",
    ]
    assert SECRET not in done.stdout


def test_check_says_which_providers_take_any_model_name(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "providers: {a: {baseUrl: http://a}, b: {baseUrl: http://b}, c: {baseUrl: http://c}}\n"
        "routing: {fallback: {provider: b, model: spare}}\n"
        "models: [{name: m, provider: a}]\n"
    )
    lines = sluice("check", "--config", "c.yaml").stdout.splitlines()
    assert lines[3:6] == [
        "  a  http://a  no key",
        "  b  http://b  no key  only as the fallback",
        "  c  http://c  no key  takes any model name",
    ]


def test_check_reports_every_mistake_on_stderr_and_fails(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("routing: {maxRetries: three, maxRetires: 1}\n")
    done = sluice("check", "--config", "c.yaml", LISTEN_PORT="abc")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        'environment: LISTEN_PORT: expected a whole number, got "abc"',
        'c.yaml: routing.maxRetries: expected a whole number, got "three"',
        'c.yaml: routing: unknown key "maxRetires"; did you mean "maxRetries"?',
    ]


def test_check_reports_that_serve_would_refuse_to_listen(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("server: {host: 0.0.0.0}\n")
    why = "serve refuses this: server.host: 0.0.0.0 is reachable from other machines"
    refused = sluice("check", "--config", "c.yaml")
    assert why in refused.stdout
    assert refused.returncode == 1
    for allowed in (
        sluice("check", "--config", "c.yaml", "--insecure"),
        sluice("check", "--config", "c.yaml", "--host", "127.0.0.1"),
        sluice("check", "--config", "c.yaml", LISTEN_INSECURE="true"),
    ):
        assert why not in allowed.stdout
        assert allowed.returncode == 0


def test_check_fails_for_an_address_of_the_environment_that_serve_refuses(sluice: Sluice) -> None:
    assert sluice("check", LISTEN_HOST="0.0.0.0").returncode == 1


def test_check_reports_a_proxy_that_serve_cannot_use(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("providers: {up: {baseUrl: http://up.example/v1}}")
    done = sluice("check", "--config", "c.yaml", ALL_PROXY="socks5://user:hidden@127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("environment: ALL_PROXY: the scheme socks5:// is not supported")
    assert "hidden" not in done.stderr


def test_an_unused_proxy_is_not_a_mistake(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("providers: {ollama: }")
    assert sluice("check", "--config", "c.yaml", ALL_PROXY="socks5://127.0.0.1:1").returncode == 0


async def test_the_gateway_starts_with_an_unused_proxy(tmp_path: Path) -> None:
    async with GatewayProcess("providers: {ollama: }", environ={"ALL_PROXY": "socks5://127.0.0.1:1"}) as gw:
        assert (await (await gw.client()).fetch("GET", "/ready")).status == 200


def test_serve_reports_mistakes_in_the_same_words(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("server: {port: here}\n")
    done = sluice("serve", "--config", "c.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'c.yaml: server.port: expected a whole number, got "here"\n'


def test_check_says_whether_the_demo_provider_serves(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("demo: auto\n")
    lines = sluice("check", "--config", "c.yaml").stdout.splitlines()
    assert "providers: none, so the built-in demo provider serves" in lines


def test_check_without_any_file_and_key_says_what_is_missing(sluice: Sluice) -> None:
    done = sluice("check")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "configuration: built-in defaults",
        "address: http://127.0.0.1:8080",
        f"providers: none. {NONE_USABLE}",
        "clients: anybody who can reach the address",
        "limits: none",
        "budgets: none",
    ]


def test_a_dot_env_in_the_working_directory_is_read_unless_another_is_named(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LISTEN_PORT=1\n")
    (tmp_path / "other").write_text("LISTEN_PORT=2\n")
    assert "127.0.0.1:1\n" in sluice("check").stdout
    assert "127.0.0.1:2\n" in sluice("check", "--env-file", "other").stdout
    assert sluice("check", "--env-file", "none").stderr == "none: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("args", "address"),
    [
        (["--port", "0"], "http://10.0.0.1:0"),
        (["--host", "::1"], "http://[::1]:1"),
        (["--unix-socket", "/run/s"], "unix:/run/s"),
        (["--unix-socket", "/run/s", "--port", "5"], "unix:/run/s"),
    ],
)
def test_the_command_line_wins(
    args: list[str], address: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("server: {host: 10.0.0.1, port: 1, insecure: true}\n")
    assert main(["check", "--config", str(config), *args]) == 0
    assert f"address: {address}\n" in capsys.readouterr().out


def test_an_address_on_the_command_line_wins_over_a_socket_in_the_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("server: {unixSocket: /run/s}\n")
    assert main(["check", "--config", str(config)]) == 0
    assert "address: unix:/run/s\n" in capsys.readouterr().out
    assert main(["check", "--config", str(config), "--port", "5"]) == 0
    assert "address: http://127.0.0.1:5\n" in capsys.readouterr().out


@pytest.mark.parametrize(("host", "browser"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
async def test_an_open_address_is_a_line_of_its_own_and_the_admin_link_works_in_a_browser(
    host: str, browser: str
) -> None:
    config = {"providers": {"up": {"baseUrl": "http://127.0.0.1:9/v1"}}, "admin": {}}
    async with GatewayProcess(config, ["--host", host, "--insecure"]) as gw:
        shown = f"[{host}]" if ":" in host else host
        line = f"INSECURE: anybody who can reach {shown}:{gw.port} can use your provider keys."
        await until(lambda: line in gw.lines, "the line")
        first = next(each for each in gw.lines if "listens on" in each)
        assert f"listens on http://{shown}:{gw.port} " in first
        assert f" Admin: http://{browser}:{gw.port}/" in first
        assert "INSECURE" not in first


async def test_the_start_lists_used_overridden_and_unknown_variables() -> None:
    config = {"providers": {"up": {"baseUrl": "http://127.0.0.1:9/v1"}}, "routing": {"maxRetries": 1}}
    environ = {"RETRY_MAX_ATTEMPTS": "5", "RETRY_BASE_DELAY": "2", "DEBUG": "maybe"}
    async with GatewayProcess(config, environ=environ) as gw:
        line = "Environment: in force: RETRY_BASE_DELAY; overridden: RETRY_MAX_ATTEMPTS; not understood: DEBUG."
        await until(lambda: line in gw.lines, "the line")


def test_the_key_of_a_known_provider_is_enough_without_any_file(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-1\nTYPO=1\nDEBUG=maybe\nAPP_VERSION=2\n")
    lines = sluice("check", GROQ_API_KEY="your_groq_api_key_here").stdout.splitlines()
    assert "  openai  https://api.openai.com/v1  key ********  takes any model name" in lines
    assert "models: none listed, GET /v1/models has those of the providers" in lines
    assert lines[-1] == (
        "environment: in force: OPENAI_API_KEY; not understood: DEBUG, TYPO; still placeholders: GROQ_API_KEY;"
        " without effect: APP_VERSION"
    )


def test_help_and_usage_load_nothing_heavy(tmp_path: Path) -> None:
    # The first answer has to come within a second of the start, and what is not needed yet may not delay it.
    code = "import sys, proxy.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"aiohttp", "asyncio", "yaml", "msgspec", "uvloop"} & set(done.stdout.split())


def test_check_prints_clients_and_their_limits(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "auth: {mode: any, jwt: {secret: " + "s" * 32 + "}}\n"
        "rateLimiting: {enabled: true, global: {requestsPerMinute: 9, burstSize: 4}, perModel: {concurrent: 2}}\n"
    )
    lines = sluice("check", "--config", "c.yaml").stdout.splitlines()
    assert "clients: API keys (0 in the configuration and those in the database) or JSON Web Tokens" in lines
    start = lines.index("limits: kept in memory")
    assert lines[start + 1 : start + 3] == [
        "  global  9 requests per minute (at most 4 at once)",
        "  perModel  2 concurrent requests",
    ]


def test_check_prints_what_is_capped_and_who_is_told(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "auth: {mode: keys}\nbilling: {enabled: true, defaultBalance: 10}\n"
        "budgets: [{name: daily, per: owner, usd: 5, window: day}]\n"
        f"events: {{webhooks: [{{url: https://example.com/{SECRET}, secret: {SECRET}}}]}}\n"
    )
    done = sluice("check", "--config", "c.yaml")
    lines = done.stdout.splitlines()
    start = lines.index("budgets:")
    assert lines[start + 1 : start + 5] == [
        "  daily  $5.00 a day for each owner, by UTC",
        "balances: a new account begins with 10.00 USD",
        "events:",
        "  https://example.com  signed, all types",
    ]
    assert SECRET not in done.stdout


def test_check_names_models_whose_calls_are_refused_without_a_price(sluice: Sluice, tmp_path: Path) -> None:
    capped = "budgets: [{name: all, usd: 5}]\n"
    (tmp_path / "c.yaml").write_text(CONFIG + capped)
    notice = (
        "notice: no price for m: where a budget in USD or a balance applies, calls are refused (403 model_unpriced);"
        " set prices, or billing.onUnpriced: allow"
    )
    assert sluice("check", "--config", "c.yaml", UP_KEY=SECRET).stdout.splitlines()[-1] == notice
    (tmp_path / "c.yaml").write_text(f"demo: auto\n{capped}")
    last = sluice("check", "--config", "c.yaml").stdout.splitlines()[-1]
    assert last.startswith("notice: no price for ")
    assert " more: where a budget" in last


def test_creating_a_key_warns_if_authentication_is_off(sluice: Sluice, tmp_path: Path) -> None:
    notice = "notice: auth.mode is none: API keys are not used; set auth.mode to keys and restart\n"
    assert sluice("key", "new").stderr == notice
    (tmp_path / "c.yaml").write_text("auth: {mode: keys}")
    for text, expected in (("auth: {mode: keys}", ""), ("auth: {mode: none}", notice), ("auth: {mode: 7}", "")):
        (tmp_path / "c.yaml").write_text(text)
        done = sluice("key", "new", "--config", "c.yaml")
        assert (done.returncode, done.stderr) == (0, expected)


def test_a_command_migrates_the_key_tables(sluice: Sluice, tmp_path: Path) -> None:
    first, second = sluice("db", "upgrade"), sluice("db", "upgrade")
    assert first.stdout.startswith("database: empty -> ")
    assert second.stdout.startswith("database: up to date at ")
    assert (tmp_path / "data" / "sluice.db").stat().st_mode & 0o777 == 0o600


def test_a_created_key_prints_the_hash_for_the_configuration(sluice: Sluice, tmp_path: Path) -> None:
    made = sluice("key", "new", "--name", "alice").stdout
    assert "restart" not in made
    secret = next(line.strip() for line in made.splitlines() if line.strip().startswith("sk-"))
    assert secret not in made.split("auth.keys")[1]
    (tmp_path / "c.yaml").write_text("auth:\n  mode: keys\n  keys:\n" + made.split("auth.keys:\n\n")[1])
    assert "clients: API keys (1 in the configuration" in sluice("check", "--config", "c.yaml").stdout


def test_a_closed_output_is_no_traceback(tmp_path: Path) -> None:
    """``sluice check | head -1``"""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "proxy", "check"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "")
