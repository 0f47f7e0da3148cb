"""The error of a spool without space."""

from __future__ import annotations


class SpoolFull(Exception):
    """No open record can be written until segments were removed, or the disk has room. The text says which."""
