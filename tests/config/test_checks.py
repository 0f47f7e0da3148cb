from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.config import checks


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("HTTPS://API.example.com", "HTTPS://API.example.com"),
        ("http://local_model:80/a%20b", "http://local_model:80/a%20b"),
    ],
)
def test_addresses_of_providers(text: str, normal: str) -> None:
    assert checks.base_url(text) == normal


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("api.example.com/v1", "begins with http"),
        ("ftp://api.example.com", "begins with http"),
        ("http:/host", "begins with http"),
        ("http://", "no host"),
        ("http:///v1", "no host"),
        ("https://host:port", "is not a valid URL"),
        ("https://host:70000", "is not a valid URL"),
        ("https://host:0", "no usable port"),
        ("http://[::1", "is not a valid URL"),
        ("https://user:secret@host/v1", "user or password"),
        ("https://host/v1?key=secret", "credential in its query"),
        ("https://host/v1?a=1&access_token=secret", "credential in its query"),
        ("https://host/v1?a=b#c", "without spaces and #"),
        ("https://host/v1#part", "must not contain a #"),
        ("https://host/a b", "spaces"),
        ("https://host/a\r\nb", "spaces"),
        ("https://host\\@evil", "backslashes"),
        ("https://host/v1/../v2", "dot segments"),
        ("https://host/v1/%2e%2e/v2", "dot segments"),
        ("https://host//v1", "empty or dot"),
        ("https://host/é", "percent-encoded"),
    ],
)
def test_rejected_addresses(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        checks.base_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "normal"), [("/api/v1", "/api/v1"), ("/llm/", "/llm"), ("/a-b/c.d/~e", "/a-b/c.d/~e")]
)
def test_base_paths(text: str, normal: str) -> None:
    assert checks.base_path(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "",
        "api",
        "/a b",
        "/a//b",
        "/a/../b",
        "/a?b",
        "/a%2e",
        "/health",
        "/proxy/x",
        "//a",
        "/admin",
        "/auth/v1",
        "/docs",
        "/redoc",
    ],
)
def test_rejected_base_paths(text: str) -> None:
    with pytest.raises(ValueError):
        checks.base_path(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("0.0.0.0", "0.0.0.0"),
        ("::1", "::1"),
        ("[::]", "::"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("gateway.local", "gateway.local"),
    ],
)
def test_addresses_to_listen_on(text: str, normal: str) -> None:
    assert checks.listen_host(text) == normal


@pytest.mark.parametrize("text", ["127.0.0.1:80", "http://a", "a b", "a/b", "*"])
def test_rejected_listen_addresses(text: str) -> None:
    with pytest.raises(ValueError):
        checks.listen_host(text)


@pytest.mark.parametrize("text", ["gateway.example.org", "Gateway", "[::1]", "10.0.0.1", "*", "*.example.org"])
def test_allowed_hosts(text: str) -> None:
    assert checks.allowed_host(text) == text.lower()


@pytest.mark.parametrize("text", ["https://a", "a:80", "a b", "**", "a.*", "*.", "a/b", "::1"])
def test_rejected_allowed_hosts(text: str) -> None:
    with pytest.raises(ValueError):
        checks.allowed_host(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://Chat.example.org/", "https://chat.example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("*", "*"),
        ("chrome-extension://abc", "chrome-extension://abc"),
        ("http://localhost:*", "http://localhost:*"),
        ("https://*.Example.org:8443", "https://*.example.org:8443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://*:3000", "http://*:3000"),
        ("null", "null"),
    ],
)
def test_origins(text: str, normal: str) -> None:
    assert checks.origin(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "chat.example.org",
        "https://a/b",
        "https://",
        "https://a b",
        "https://u@a",
        "**",
        "*.example.org",
        "localhost:*",
        "https://chat*.example.org",
        "https://a.*.org",
        "https://*.",
        "https://a:*0",
        "https://a:70000",
        "https://a:",
        "https://münchen.example",
        "https://a_b(c)",
        "file://",
    ],
)
def test_rejected_origins(text: str) -> None:
    with pytest.raises(ValueError):
        checks.origin(text)


@pytest.mark.parametrize("text", ["X-Team", "authorization", "x_y.z"])
def test_headers(text: str) -> None:
    assert checks.header(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "X Team", "X:Team", "X\r\nY", "Ümlaut", "Connection", "transfer-encoding", "HOST", "Content-Length"],
)
def test_rejected_headers(text: str) -> None:
    with pytest.raises(ValueError):
        checks.header(text)


@pytest.mark.parametrize("text", ["Cookie", "authorization", "X-Api-Key", "Upgrade", "a b"])
def test_headers_that_are_never_forwarded_are_rejected(text: str) -> None:
    with pytest.raises(ValueError):
        checks.forward_header(text)


@pytest.mark.parametrize("text", ["a\r\nX: y", "a\nb", "\x00", "é", "a\x7f"])
def test_rejected_header_values_and_keys(text: str) -> None:
    for check in (checks.header_value, checks.key):
        with pytest.raises(ValueError) as caught:
            check(text)
        assert text not in str(caught.value)


def test_whitespace_around_a_key_is_stripped() -> None:
    assert checks.key(" sk-1\n") == "sk-1"
    assert checks.header_value(" a\tb ") == "a\tb"


@pytest.mark.parametrize(
    ("text", "normal"),
    [("GET /files", "GET /files"), ("post  /v1/batches/", "POST /v1/batches/"), ("GET /", "GET /")],
)
def test_passthrough_entries(text: str, normal: str) -> None:
    assert checks.passthrough(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "/files",
        "GET",
        "GET files",
        "GET /a?b",
        "GET /a b",
        "GET /a/../b",
        "GET //a",
        "CONNECT /x",
        "GET,POST /x",
        "GET /é",
    ],
)
def test_rejected_passthrough_entries(text: str) -> None:
    with pytest.raises(ValueError):
        checks.passthrough(text)


@pytest.mark.parametrize("text", ["openrouter", "my.local-1_b", "7b"])
def test_names_of_providers(text: str) -> None:
    assert checks.new_provider(text) == text


@pytest.mark.parametrize("text", ["a/b", "a b", "-a", "..", "é"])
def test_rejected_provider_names(text: str) -> None:
    with pytest.raises(ValueError):
        checks.new_provider(text)


@pytest.mark.parametrize("text", [" a", "a ", "a\nb", "\x1b[1m"])
def test_rejected_model_names(text: str) -> None:
    with pytest.raises(ValueError):
        checks.name(text)


def test_hooks_name_an_attribute_of_a_module() -> None:
    assert checks.hook("my.guard:hook") == "my.guard:hook"
    for text in ("my.guard", "my.guard:", ":hook", "my..guard:hook", "my/guard.py:hook", "a:b.c"):
        with pytest.raises(ValueError):
            checks.hook(text)


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    file = checks.kinds(tmp_path, None)["file"]
    assert file("ca.pem") == str(tmp_path / "ca.pem")
    assert file(str(tmp_path / "ca.pem")) == str(tmp_path / "ca.pem")
    assert file("") == ""
    for missing in ("none.pem", "."):
        with pytest.raises(ValueError, match="no such file"):
            file(missing)


def test_an_unknown_provider_is_rejected_with_a_suggestion() -> None:
    known = checks.kinds(Path(), {"openrouter": {}})["known provider"]
    assert known("openrouter") == "openrouter"
    with pytest.raises(ValueError, match='no provider "openruter"; did you mean "openrouter"\\?'):
        known("openruter")


HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize("text", [f"sha256:{HASH}", f"SHA256:{HASH.upper()}", f" sha256:{HASH}\n"])
def test_hashes_of_keys(text: str) -> None:
    assert checks.key_hash(text) == f"sha256:{HASH}"


@pytest.mark.parametrize(
    "text", ["", HASH, f"sha256:{HASH}0", f"sha256:{HASH[1:]}", f"sha1:{HASH}", "sk-secret", f"sha256:{'g' * 64}"]
)
def test_rejected_key_hashes(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        checks.key_hash(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        ("2030-12-31", "2030-12-31T00:00:00+00:00"),
        ("2030-12-31T18:00:00Z", "2030-12-31T18:00:00+00:00"),
        ("2030-12-31 18:00:00+02:00", "2030-12-31T16:00:00+00:00"),
        ("2030-12-31T18:00:00.5Z", "2030-12-31T18:00:00.500000+00:00"),
    ],
)
def test_timestamps(text: str, normal: str) -> None:
    assert checks.moment(text) == normal
    assert checks.moment(normal) == normal


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2030-12-31T18:00:00", "no time zone"),
        ("2030-02-30", "expected a date"),
        ("tomorrow", "expected a date"),
        ("0001-01-01T00:00:00+14:00", "expected a date"),
    ],
)
def test_rejected_timestamps(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        checks.moment(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("unix", "unix"),
        ("UNIX", "unix"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("0:0::1", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::/0", "::/0"),
    ],
)
def test_networks(text: str, normal: str) -> None:
    assert checks.network(text) == normal
    assert checks.network(normal) == normal


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/33", "10.0.0", "10.0.0.1:80", "[::1]", "*", " 10.0.0.1"])
def test_rejected_networks(text: str) -> None:
    with pytest.raises(ValueError):
        checks.network(text)


def test_a_working_folder_may_be_missing_but_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for text in (str(tmp_path), str(tmp_path / "new"), "data"):
        assert checks.working_folder(text) == text
    for text in (str(tmp_path / "file"), "a\x00b"):
        with pytest.raises(ValueError):
            checks.working_folder(text)


def test_a_log_path_may_be_missing_but_not_a_folder(tmp_path: Path) -> None:
    for text in ("", str(tmp_path / "new" / "sluice.log"), "sluice.log"):
        assert checks.log_path(text) == text
    for text in (str(tmp_path), "a\nb"):
        with pytest.raises(ValueError):
            checks.log_path(text)


def test_every_kind_of_text_has_a_check() -> None:
    folder = Path(checks.__file__).parent
    types = "".join((folder / name).read_text() for name in ("types.py", "address_schema.py"))
    assert set(re.findall(r'"kind": "([^"]+)"', types)) == set(checks.kinds(Path(), None))


@pytest.mark.parametrize("text", ["", "666", "0666", "0600"])
def test_the_mode_of_a_socket_is_octal(text: str) -> None:
    assert checks.socket_mode(text) == text


@pytest.mark.parametrize("text", ["66", "0888", "u+rw", "0o666", "1777", "-666"])
def test_rejected_modes_of_a_socket(text: str) -> None:
    with pytest.raises(ValueError, match="octal"):
        checks.socket_mode(text)
