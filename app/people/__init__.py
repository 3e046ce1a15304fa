"""Actions of one person: ask, answer, rate, export, erase."""
