"""n8n itself, with the nodes of ``deploy/n8n``."""
