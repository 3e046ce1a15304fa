"""Guard, gate, audit metrics and the trade-off curve behind the budget (pure)."""
