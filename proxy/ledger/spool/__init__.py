"""The spool: an append log per gateway process, from which one recorder per folder fills the database.

``SpoolWriter`` (``writer.py``) appends *open* and *close* records to *segments* of 4 MB. A segment is locked as long as
its writer lives, and ends with a *seal* if its writer finished it. ``SpoolReader`` (``reader.py``) follows the segments
of all gateways, makes them durable, and removes them one by one. ``format.py`` has the bytes. Records are opaque here:
``proxy.ledger.row`` knows what is in them.

A long stream keeps its segment, and not those after it. So the close record of an open one may be in a segment that is
gone already, if the recorder restarts meanwhile. Its row is in the database then.
"""
