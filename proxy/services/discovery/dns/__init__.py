"""Addresses of names in DNS, by dnspython. The answer's TTL says when it is asked for again."""
