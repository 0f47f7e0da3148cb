"""Reads chat streams with the openai package on the path.

Run as a separate process: ``python openai_reader.py``. Each line of stdin is a JSON list, ``[BASE_URL, HEADERS]``, and
is answered by a line of JSON on stdout with the outcome of the stream.
"""

from __future__ import annotations

import json
import sys

import openai


def read(base_url: str, headers: dict[str, str]) -> dict[str, object]:
    result: dict[str, object] = {"version": openai.__version__, "text": "", "finish": None, "error": None}
    try:
        with openai.OpenAI(base_url=base_url, api_key="any", max_retries=0, timeout=20.0) as client:
            stream = client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}], stream=True, extra_headers=headers
            )
            for chunk in stream:
                result["text"] = f"{result['text']}{chunk.choices[0].delta.content or ''}"
                result["finish"] = chunk.choices[0].finish_reason
    except Exception as error:
        result["error"] = type(error).__name__
    return result


for line in sys.stdin:
    print(json.dumps(read(*json.loads(line))), flush=True)
