"""Reads one chat stream with whichever openai package is on the path, and prints what came of it as JSON.

Run as a process of its own: ``python openai_reader.py BASE_URL [HEADER=VALUE ...]``.
"""

from __future__ import annotations

import json
import sys

import openai


def main(base_url: str, *headers: str) -> None:
    client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=20.0)
    told: dict[str, object] = {"version": openai.__version__, "text": "", "finish": None, "error": None}
    try:
        stream = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            extra_headers=dict(header.split("=", 1) for header in headers),
        )
        for chunk in stream:
            told["text"] = f"{told['text']}{chunk.choices[0].delta.content or ''}"
            told["finish"] = chunk.choices[0].finish_reason
    except Exception as error:
        told["error"] = type(error).__name__
    print(json.dumps(told))


main(*sys.argv[1:])
