"""The neutral conversation between dialects: requests and answers in no dialect's words. No I/O, clock or random."""
