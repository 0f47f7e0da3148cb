"""Chat Completions in translations: as the dialect of a client, and as that of a provider."""
