"""Which route a request takes: routes, their precedence, and the lookup. Pure."""
