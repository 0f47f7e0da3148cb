"""Credentials that a cloud issues for a time: one file per issuer, and ``refresher.py``, which keeps them fresh."""
