"""``python -m tests.n8n.screenshots``: n8n's editor with our nodes, for deploy/n8n/README.md, taken in a real browser.

A gateway with the demo provider serves n8n. Needs what the stage ``workflows`` of ``scripts/test-deploy`` needs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop
from playwright.async_api import Page

from proxy.auth.apikey import digest_of, hash_from
from tests.n8n.app import N8n
from tests.n8n.package import SOURCE, copy_package, run_script
from tests.n8n.workflows import agent, chat_model, one, operations, several
from tests.support.browser import chromium
from tests.support.gateway import GatewayProcess

EXECUTE = '[data-test-id="execute-workflow-button"]'
IMAGES = SOURCE / "images"
KEY = "sk-sluice-" + "c" * 40
CONFIG = {
    "demo": "auto",
    "auth": {"mode": "keys", "keys": [{"name": "n8n", "owner": "alice", "hash": hash_from(digest_of(KEY))}]},
    "billing": {"enabled": True, "defaultBalance": 25, "onUnpriced": "allow"},
    "ledger": {"enabled": True},
    "cache": {"enabled": True},
}
WINDOW = {"width": 1280, "height": 900}
PATIENCE_MS = 30_000  # n8n's editor is large
SETTLE_MS = 2_000  # animations
OWNER = {"email": "owner@example.org", "firstName": "Alice", "lastName": "Doe", "password": "Sluice-4-n8n"}


async def main(arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = copy_package(folder)
        status, output = run_script(package, "build")
        if status:
            print(output, file=sys.stderr)
            return 1
        async with GatewayProcess(CONFIG | {"dataDir": str(folder / "data")}) as gateway:
            (folder / "n8n").mkdir()
            n8n = N8n(folder / "n8n", "http://127.0.0.1:9")
            n8n.install(package)
            model = chat_model(
                **several("demo-fast", "demo", then_auto=True),
                filters={"tags": "code", "minSuccessRate": 0.9, "preferFast": True},
                options={"temperature": 0.2, "run": "={{ $execution.id }}", "runBudget": 0.5},
            )
            chat = {
                "messages": {"message": [{"role": "user", "content": "Tell me about rivers"}]},
                **one("demo-instant"),
            }
            flows = [agent("Agent", "Use calculator on `6*7`", model), operations("Sluice", chat=chat, balance={})]
            await n8n.add(f"{gateway.url}/v1", KEY, flows)
            async with n8n.serve() as url:
                await _photograph(url, *(flow["id"] for flow in flows))
    return 0


async def _photograph(url: str, agent_id: str, sluice_id: str) -> None:
    async with chromium() as browser:
        context = await browser.new_context(viewport=WINDOW, color_scheme="light")
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        answer = await page.request.post(f"{url}/rest/owner/setup", data=OWNER)
        assert answer.ok, await answer.text()

        await page.goto(f"{url}/home/credentials")
        await page.get_by_text("Sluice account").click()
        await _take(page, "credentials", "Connection tested successfully")

        await page.goto(f"{url}/workflow/{agent_id}")
        await page.locator(EXECUTE).click()
        await _take(page, "workflow-light", "Workflow executed successfully")
        await page.emulate_media(color_scheme="dark")
        await _take(page, "workflow-dark", "Sluice Chat Model")
        await page.emulate_media(color_scheme="light")

        await page.goto(f"{url}/workflow/{agent_id}/Sluice%20Chat%20Model")
        await _take(page, "chat-model", "Models by Priority")

        await page.goto(f"{url}/workflow/{sluice_id}")
        await page.locator(EXECUTE).click()
        await page.get_by_text("Workflow executed successfully").first.wait_for()
        await page.locator('[data-node-name="Chat"]').first.dblclick()
        await page.get_by_text("JSON", exact=True).nth(1).click()  # of the output
        await page.get_by_text("Workflow executed successfully").first.wait_for(state="detached")
        await _take(page, "sluice", "_router")


async def _take(page: Page, name: str, text: str) -> None:
    """A picture once the page has the text, and has settled."""
    await page.get_by_text(text).first.wait_for()
    await page.wait_for_timeout(SETTLE_MS)
    await page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    sys.exit(uvloop.run(main(sys.argv[1:])))
