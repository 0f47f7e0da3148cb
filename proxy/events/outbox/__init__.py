"""The outbox: events wait here, one row for each receiver, until their receiver has them.

base.py       what is asked of it
sqlite.py     in a SQLite file
postgres.py   in PostgreSQL
opening.py    chooses one of them

Rows are inserted elsewhere, in the transaction of what the event tells: by the recorder, and by ``database.outbox``.
"""
