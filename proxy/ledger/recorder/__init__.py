"""The recorder: one process a machine that follows the spool and writes the ledger's rows into the database.

base.py       the database as the recorder uses it, and what can be wrong with it
sqlite.py     a SQLite file
postgres.py   PostgreSQL
broker.py     a broker, from which `sluice ledger consume` writes the rows into a database
destination.py   which of them
hours.py      sums of rows by hour: pure
labels.py     sums of rows by hour, for each run and label: pure
tables.py     the tables that it writes
spending.py   what rows add to budget counters and charge to accounts: pure
sqlite_spending.py, postgres_spending.py   the same into a database
announced.py  what goes into the outbox: pure
usage_data.py the data of the event of a row: pure
sqlite_outbox.py, postgres_outbox.py   the same into a database
bound.py      the bound of the outbox, and what happens beyond it: pure
expiry.py     how long all this is kept: pure
values.py     a row as values of SQL: pure
accounts.py   attempts that are open, rows and events that wait, and segments that are still needed: pure
journal.py    attempts that are settled while the segment of their open record stays
recorder.py   from the spool into the database
sending.py    sends what waits in the outbox, and says which process does it
status.py     what the recorder tells the gateways, in a file
process.py    the process: settings, signals, exit status

It must stay small (30 MB), so it imports no SQLAlchemy. asyncpg, aiohttp and a broker's package are imported only
where PostgreSQL, webhooks and that broker are used.
"""
