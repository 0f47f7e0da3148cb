"""Reads streams of messages with the anthropic package on the path.

Run as a separate process: ``python anthropic_reader.py``. Each line of stdin is a JSON list, ``[BASE_URL, HEADERS]``,
and is answered by a line of JSON on stdout with the outcome of the stream.
"""

from __future__ import annotations

import json
import sys

import anthropic


def read(base_url: str, headers: dict[str, str]) -> dict[str, object]:
    result: dict[str, object] = {"version": anthropic.__version__, "text": "", "finish": None, "error": None}
    try:
        with (
            anthropic.Anthropic(base_url=base_url, api_key="any", max_retries=0, timeout=20.0) as client,
            client.messages.stream(
                model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}], extra_headers=headers
            ) as stream,
        ):
            for text in stream.text_stream:
                result["text"] = f"{result['text']}{text}"
            message = stream.get_final_message()
            result["finish"] = message.stop_reason
            result["tokens"] = [message.usage.input_tokens, message.usage.output_tokens]
    except Exception as error:
        result["error"] = type(error).__name__
    return result


for line in sys.stdin:
    print(json.dumps(read(*json.loads(line))), flush=True)
