"""OpenAI's Responses API in translations: as the dialect of clients, and as that of providers."""
