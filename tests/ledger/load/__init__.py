"""Load for a ledger under test: ten providers that keep their own books, and many callers, with little CPU.

``prices`` what the providers charge · ``answers`` answers as bytes · ``faults`` what goes wrong instead · ``provider``
the servers · ``books`` what they got and billed · ``requests`` what is sent · ``caller`` who sends it · ``rows`` what
the ledger says · ``audit`` the comparison
"""
