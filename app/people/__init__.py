"""What one person does: ask, answer, rate, export, erase."""
