"""API keys in the database: create, show, change, rotate, revoke."""
