"""The dialect as that of providers: requests from neutral terms, and answers to them."""
