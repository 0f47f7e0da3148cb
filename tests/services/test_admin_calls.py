"""Calls of the Python client, against servers that are not the gateway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from proxy.services.admin_calls import AdminCalls, RouterError
from proxy.services.client import RouterService
from tests.support.patience import PATIENCE
from tests.support.ports import free_port


class Other(BaseHTTPRequestHandler):
    """Answers each path with what it names: ``/STATUS/BODY``."""

    seen: list[tuple[str, str, str | None]] = []

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))  # or the close would reset the connection
        _, status, body = self.path.partition("?")[0].split("/", 2)
        self.seen.append((self.command, self.path, self.headers.get("Authorization")))
        self.send_response(int(status))
        self.send_header("X-Served-By", "other")
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_without_a_token_the_error_says_where_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_ADMIN_TOKEN", raising=False)
    with pytest.raises(RouterError, match="data/admin-token"):
        RouterService("http://127.0.0.1:1").get_services()


def test_a_gateway_that_does_not_answer_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RouterError, match=f"{url} does not answer"):
        RouterService(url, "x").get_services()
    with pytest.raises(RouterError, match="must begin with http"):
        RouterService("127.0.0.1:8080", "x")


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"error":"text"}'])
def test_an_answer_that_is_not_the_gateways_says_so(url: str, body: str) -> None:
    with pytest.raises(RouterError, match="status 500 and is not the gateway's") as caught:
        AdminCalls(url, "token", PATIENCE).call("GET", f"/500/{body}")
    assert caught.value.status == 500


def test_the_gateways_error_is_taken_over(url: str) -> None:
    body = '{"error":{"message":"No.","code":"unknown_service","param":"name"}}'
    with pytest.raises(RouterError) as caught:
        AdminCalls(url, "token", PATIENCE).call("GET", f"/404/{body}")
    error = caught.value
    assert (str(error), error.status, error.code, error.param) == ("No.", 404, "unknown_service", "name")


@pytest.mark.parametrize("body", ["<html>", "", "[]", "1"])
def test_a_success_that_is_not_the_gateways_says_so(url: str, body: str) -> None:
    with pytest.raises(RouterError, match="status 200 and is not the gateway's"):
        AdminCalls(url, "token", PATIENCE).call("GET", f"/200/{body}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a",
        "http://",
        "http://a:99x",
        "http://a:99999",
        "http://[::1",
        "http://a b",
        "http://a..b",
        "http://a/?b",
    ],
)
def test_a_wrong_url_of_the_gateway_is_refused_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_URL", url or "/v1")
    with pytest.raises(RouterError, match="SLUICE_URL") as caught:
        RouterService(token="x")
    assert caught.value.status == 0


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_without_time_is_refused(timeout: float) -> None:
    with pytest.raises(RouterError, match="timeout must be more than 0 seconds"):
        RouterService("http://a", "x", timeout=timeout)


def test_the_line_end_of_a_file_is_no_part_of_the_token(url: str) -> None:
    Other.seen.clear()
    AdminCalls(url, "token\n", PATIENCE).call("GET", "/204/")
    assert Other.seen == [("GET", "/204/", "Bearer token")]


@pytest.mark.parametrize("token", ["a\nb", "a b", "t\u00f6ken", "\u65e5"])
def test_a_token_that_no_header_can_have_is_refused(url: str, token: str) -> None:
    with pytest.raises(RouterError, match=r"SLUICE_ADMIN_TOKEN.*visible ASCII"):
        AdminCalls(url, token, PATIENCE).call("GET", "/204/")


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), float("inf"), b"x"])
def test_a_body_that_json_does_not_have_is_refused(url: str, value: object) -> None:
    router = RouterService(url, "x")
    with pytest.raises(RouterError, match="cannot be sent as JSON"):
        router.add_service("a", "http://a", settings=value)
    with pytest.raises(RouterError, match="cannot be sent as JSON"):
        router.route_request("/204/", json=value)


@pytest.mark.parametrize(
    ("method", "path", "headers", "words"),
    [
        ("GET", "x", {}, "The path must begin with a slash, got 'x'"),
        ("GET", "http://a/x", {}, "The path must begin with a slash"),
        ("GE T", "/204/", {}, "is no method"),
        ("", "/204/", {}, "is no method"),
        ("GET", "/204/", {"a": "x\ny"}, "cannot be sent: .*header"),
        ("GET", "/204/", {"a\nb": "x"}, "cannot be sent: .*header"),
        ("GET", "/204/", {"a": "\u65e5"}, "cannot be sent: .*latin-1"),
    ],
)
def test_a_routed_request_that_cannot_be_sent_says_why(
    url: str, method: str, path: str, headers: dict[str, str], words: str
) -> None:
    with pytest.raises(RouterError, match=words):
        RouterService(url, "x").route_request(path, method, headers=headers)


def test_a_path_is_encoded_where_it_must_be(url: str) -> None:
    Other.seen.clear()
    RouterService(url, "x", timeout=PATIENCE).route_request("/204/a b/\u00fc%20%2F;x=1,2?q=\u00fc&r=[]\n")
    assert [path for _, path, _ in Other.seen] == ["/204/a%20b/%C3%BC%20%2F;x=1,2?q=%C3%BC&r=[]%0A"]


def test_an_answer_that_is_not_json_says_so(url: str) -> None:
    answer = RouterService(url, "x", timeout=PATIENCE).route_request("/200/<html>")
    with pytest.raises(RouterError, match="status 200 is not JSON") as caught:
        answer.json()
    assert caught.value.status == 200


def test_an_answer_without_a_body_is_none(url: str) -> None:
    assert AdminCalls(url, "token", PATIENCE).call("GET", "/204/") is None


def test_a_routed_request_is_sent_as_it_is_and_its_answer_never_an_error(url: str) -> None:
    router = RouterService(url, "the-admin-token", api_key="sk-client", timeout=PATIENCE)
    Other.seen.clear()
    answer = router.route_request("/302/{}?a=1", params={"b": "x y"})
    assert (answer.status_code, answer.ok, answer.json(), answer.headers["location"]) == (302, True, {}, "/elsewhere")
    failed = router.route_request("/503/no", method="post", json={"x": 1}, headers={"authorization": "Basic abc"})
    assert (failed.status_code, failed.ok, failed.text) == (503, False, "no")
    assert Other.seen == [
        ("GET", "/302/{}?a=1&b=x+y", "Bearer sk-client"),
        ("POST", "/503/no", "Basic abc"),
    ]
