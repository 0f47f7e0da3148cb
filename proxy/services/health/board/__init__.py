"""Where the replica that checks keeps its results for the others: one file for each technology."""
