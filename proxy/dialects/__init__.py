"""What the bytes of an API mean, one dialect at a time.

A *dialect* is a wire schema such as ``openai.chat``. For each there is a ``Reader``, which reads what a provider sends,
and a ``Writer``, which makes what the gateway itself sends to a client (``base.py``). The deployment's dialect chooses
the reader, the endpoint's the writer. ``table.py`` lists all dialects.
"""
