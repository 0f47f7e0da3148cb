"""``sluice ledger consume``: rows of gateways without a database, from the broker into a database.

messages.py   the rows that a message carries: pure
consumer.py   takes messages, writes their rows, and accepts them after the commit
process.py    the process: signals, retention, exit status

It imports no SQLAlchemy, as the recorder.
"""
