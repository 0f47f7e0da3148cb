"""The dialect as that of clients: requests to neutral terms, and answers from them."""
