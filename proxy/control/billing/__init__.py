"""Balances of accounts, and what was posted to them."""
