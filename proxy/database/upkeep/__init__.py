"""What an operator does with the ledger: verify its sums, repair them, export rows, forget an owner.

hours.py      sums by hour, made from the rows
labels.py     sums by hour and label, made from the rows; those of rows that are older than these sums
opened.py     the database of these commands
verify.py     these sums against the rows
balances.py  what budgets spent and what accounts have, against rows and transfers
export.py     rows, in order
replay.py     rows and transfers, to be sent again as events
forget.py     a pseudonym in the place of an owner, forget_labels.py in sums by label,
              forget_spending.py in budgets and accounts, forget_events.py in the outbox

Every transaction is short, as a gateway goes on writing meanwhile.
"""
