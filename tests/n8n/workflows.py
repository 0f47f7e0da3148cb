"""Workflows of n8n with the nodes of ``deploy/n8n``."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from tests.n8n.app import CREDENTIALS

CHAT_MODEL = "n8n-nodes-sluice.sluiceChatModel"
SLUICE = "n8n-nodes-sluice.sluice"
LANGCHAIN = "@n8n/n8n-nodes-langchain"
CHAT_PATH = "5f1c0c5e-4a0e-4c53-9a7e-2f6f3b1d7c11"  # of the chat trigger's webhook

Node = dict[str, Any]


def node(name: str, kind: str, version: float = 1, x: int = 0, y: int = 0, **parameters: Any) -> Node:
    ours = {"credentials": {"sluiceApi": CREDENTIALS}} if kind.startswith("n8n-nodes-sluice.") else {}
    made = {"id": name, "name": name, "type": kind, "typeVersion": version, "position": [x, y]}
    return made | {"parameters": parameters} | ours


START: Final = node("Start", "n8n-nodes-base.manualTrigger")


def chat_model(**parameters: Any) -> Node:
    return node("Sluice Chat Model", CHAT_MODEL, 1, 180, 220, **parameters)


def one(model: str) -> dict[str, Any]:
    """Parameters for one model from the list."""
    return {"selection": "one", "model": {"__rl": True, "mode": "list", "value": model, "cachedResultName": model}}


def several(*models: str, then_auto: bool = False) -> dict[str, Any]:
    """Parameters for several models in order."""
    return {
        "selection": "several",
        "models": {"model": [{"name": name} for name in models]},
        "thenAuto": then_auto,
    }


def chain(name: str, prompt: str, model: Node) -> dict[str, Any]:
    """*Basic LLM Chain* with a model."""
    llm = node("Basic LLM Chain", f"{LANGCHAIN}.chainLlm", 1.7, 220, promptType="define", text=prompt)
    return _workflow(name, [llm], {"ai_languageModel": [model]})


CALCULATOR: Final = node("Calculator", f"{LANGCHAIN}.toolCalculator", 1, 440, 220)


def agent(name: str, prompt: str, model: Node, tool: Node = CALCULATOR) -> dict[str, Any]:
    """*AI Agent* with a model and a tool."""
    tools_agent = node("AI Agent", f"{LANGCHAIN}.agent", 2.2, 220, promptType="define", text=prompt, options={})
    return _workflow(name, [tools_agent], {"ai_languageModel": [model], "ai_tool": [tool]})


def chat_tool(name: str, model: str) -> Node:
    """The node *Sluice* as a tool: the agent writes the question to a model."""
    message = {"role": "user", "content": "={{ $fromAI('question', 'What to ask', 'string') }}"}
    chat = {"operation": "chat", "messages": {"message": [message]}, **one(model)}
    return node(name, f"{SLUICE}Tool", 1, 440, 220, **chat)


def streamed_chat(name: str, model: Node) -> dict[str, Any]:
    """*Chat Trigger*, which anyone may call, and *AI Agent*, whose answer is streamed to it."""
    options = {"responseMode": "streaming"}
    trigger = node("Chat", f"{LANGCHAIN}.chatTrigger", 1.3, public=True, mode="webhook", options=options)
    streaming = {"options": {"enableStreaming": True}}
    tools_agent = node("AI Agent", f"{LANGCHAIN}.agent", 2.2, 220, **streaming)
    return _workflow(name, [tools_agent], {"ai_languageModel": [model]}, trigger | {"webhookId": CHAT_PATH})


def operations(name: str, **parameters: dict[str, Any]) -> dict[str, Any]:
    """The node *Sluice* once for each operation, one after the other, each for one item.

    The name of a parameter becomes that of the node. It is also the operation, if the parameters have none.
    """
    nodes = []
    for number, (operation, given) in enumerate(parameters.items(), 1):
        made = node(operation.title(), SLUICE, 1, 220 * number, **{"operation": operation, **given})
        nodes.append(made | {"executeOnce": True})
    return _workflow(name, nodes, {})


def _workflow(
    name: str, nodes: list[Node], around_last: dict[str, list[Node]], trigger: Node = START
) -> dict[str, Any]:
    """``trigger`` and ``nodes`` in a row. ``around_last``: sub-nodes of the last one by the type of their connection."""
    row = [trigger, *nodes]
    connections: dict[str, Any] = {}
    for before, after in pairwise(row):
        connections[before["name"]] = {"main": [[_end(after, "main")]]}
    for kind, subs in around_last.items():
        for sub in subs:
            connections[sub["name"]] = {kind: [[_end(row[-1], kind)]]}
    all_nodes = row + [sub for subs in around_last.values() for sub in subs]
    identifier = name.replace(" ", "").lower()[:16].ljust(16, "0")
    return {
        "id": identifier,
        "versionId": identifier,
        "name": name,
        "active": False,
        "settings": {},
        "nodes": all_nodes,
        "connections": connections,
    }


def _end(node: Node, kind: str) -> dict[str, Any]:
    return {"node": node["name"], "type": kind, "index": 0}
