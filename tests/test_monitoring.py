"""The rules and the dashboard of deploy/monitoring: checked with promtool, and against what the gateway really serves."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from proxy.observe.family import HistogramCell
from proxy.observe.gauges import ReceiverSample, RecorderSample, receiver_events
from tests.support import Upstream, chat_events, sse_answer
from tests.support.gateway import Gateway, one_provider
from tests.support.machine import debian_program
from tests.support.patience import until
from tests.support.service_gateway import plain, to_services

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "monitoring"
RULES = ("recording.yml", "alerts.yml")

# What Grafana puts in, for promtool.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$job": "sluice", "$instance": ".*", "$provider": ".*"}
# Every word of PromQL that these rules use and that is no metric.
WORDS = frozenset(
    [
        "sum",
        "max",
        "min",
        "topk",
        "rate",
        "by",
        "and",
        "or",
        "unless",
        "on",
        "histogram_quantile",
        "max_over_time",
        "time",
        "vector",
        "inf",
        "nan",
        "without",
    ]
)
# Labels that Prometheus adds.
ADDED = frozenset(("job", "instance"))
THEIRS = frozenset(("up", "ALERTS"))  # metrics that Prometheus makes itself

# -- with promtool ------------------------------------------------------------------------------------


def run(*arguments: str, folder: Path = FOLDER) -> None:
    promtool = debian_program("promtool", "prometheus")
    ran = subprocess.run([promtool, *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    run("check", "rules", *RULES)
    run("check", "config", "prometheus.yml")


def test_the_rules_pass_their_promtool_tests() -> None:
    run("test", "rules", "rules.test.yml")


def test_promtool_accepts_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": filled(expr)} for number, expr in enumerate(dashboards())]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    run("check", "rules", "panels.yml", folder=tmp_path)


# -- against the gateway ------------------------------------------------------------------------------


async def served() -> dict[str, set[str]]:
    """Every metric of a real scrape with its labels, those of histograms by the names of their samples."""
    async with Upstream() as up:
        chat = sse_answer(*chat_events("a", "b"))
        up.on(lambda request: chat if request.target.endswith("/chat/completions") else plain(b"ok"))
        config = one_provider(up) | to_services(up, service={"health": {"path": "/health", "intervalSecs": 0.1}})
        async with Gateway(config | {"cache": {"enabled": True}}) as gw:
            client = await gw.client()
            call = {"model": "m", "messages": [], "stream": True}
            assert (await client.fetch("POST", "/v1/chat/completions", json=call)).status == 200
            assert (await client.fetch("GET", "/s")).status == 200
            services = gw.app.metrics.services
            await until(lambda: services.checks.cells and services.seconds.cells, "a check and a request")
            text = (await client.fetch("GET", "/metrics")).body.decode()
            found: dict[str, set[str]] = {}
            for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? ", text, re.MULTILINE):
                found.setdefault(name, set()).update(re.findall(r"(\w+)=\"", labels))
            for family in gw.app.metrics.collect():  # those of which nothing has happened yet
                assert f"# TYPE {family.name} {family.kind}\n" in text
                histogram = isinstance(next(iter(family.cells.values()), None), HistogramCell)
                found.setdefault(family.name if not histogram else f"{family.name}_count", set()).update(family.labels)
    with_receivers = RecorderSample(0, 0.0, 0, [ReceiverSample("broker", 0, 0.0, 0, 0, 0)], 0)
    return found | {family.name: set(family.labels) for family in receiver_events(with_receivers, 1)}


async def test_every_metric_and_label_of_rules_and_dashboard_is_exported() -> None:
    known = await served()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    expressions = [*dashboards(), *(rule["expr"] for rule in rules()), *queries()]
    selected = [(name, labels) for expr in expressions for name, labels in selectors(filled(expr))]
    assert len(selected) > 60
    for name, labels in selected:
        if name in recorded | THEIRS:
            continue
        assert name in known, name
        assert labels <= known[name] | ADDED, (name, labels - known[name])


async def test_every_metric_is_documented() -> None:
    text = (FOLDER / "README.md").read_text()
    named = set(re.findall(r"`([a-z_.]+)`", text))
    for name in await served():
        plain = re.sub(r"_(bucket|count|sum|created)$", "", name)
        tail = next((each for each in named if each.startswith("...") and plain.endswith(each[3:])), None)
        assert plain in named or tail or plain.startswith("process_"), name


def test_query_keywords_are_distinguished_from_metrics() -> None:
    expr = 'sum by (job, a) (rate(m_total{a="b{c} or d",e!~"f"}[5m])) / on (job) (n:x > 0) and p == 1.5e9'
    assert [*selectors(expr)] == [("m_total", {"a", "e"}), ("n:x", set()), ("p", set())]


# -- as documents -------------------------------------------------------------------------------------


def test_every_alert_has_a_meaning_a_severity_and_an_action() -> None:
    text = (FOLDER / "README.md").read_text()
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) >= 8
    for alert in alerts:
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert set(alert["annotations"]) == {"summary", "description"}
        assert alert["for"]
        assert f"| `{alert['alert']}` |" in text
    assert {alert["alert"] for alert in alerts} == set(re.findall(r"^\| `(Sluice\w+)` \|", text, re.MULTILINE))


def test_every_alert_has_a_test() -> None:
    tested = {
        each["alertname"]
        for test in yaml.safe_load((FOLDER / "rules.test.yml").read_text())["tests"]
        for each in test.get("alert_rule_test", ())
        if each["exp_alerts"]
    }
    assert tested == {rule["alert"] for rule in rules() if "alert" in rule}


def test_the_dashboard_data_source_is_a_variable() -> None:
    found = dashboard()
    assert (
        found["templating"]["list"][0] | {"name": "datasource", "type": "datasource"} == found["templating"]["list"][0]
    )
    sources = [each["datasource"] for panel in panels() for each in (panel, *panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_panels_have_unique_ids_titles_and_space() -> None:
    found = dashboard()["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
        assert panel["title"]
    for panel in panels():
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


# what the files hold


def rules() -> list[dict[str, Any]]:
    groups = [group for file in RULES for group in yaml.safe_load((FOLDER / file).read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "sluice.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboards() -> Iterator[str]:
    """The expressions of its panels and annotations."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]
    for annotation in dashboard()["annotations"]["list"]:
        yield annotation["expr"]


def queries() -> list[str]:
    """The queries of its variables: ``label_values(metric, label)``."""
    found = [each["definition"] for each in dashboard()["templating"]["list"] if "definition" in each]
    return [re.fullmatch(r"label_values\((.*), \w+\)", each)[1] for each in found]  # type: ignore[index]


def filled(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def selectors(expr: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of an expression, each with the labels that it is selected by."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', expr)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|on|without) \([^)]*\)", "", bare)
    for name, _, chosen in re.findall(r"(?<![\w.])([a-zA-Z_:][\w:]*)(\{([^}]*)\})?", bare):
        if name not in WORDS:
            yield name, set(re.findall(r"(\w+)\s*[!=]", chosen))
