"""OpenAI's Responses API as the dialect of clients whose providers speak another: requests in, answers out."""
