"""What a person's answers are exported for; the rows of each shape are told in ``app.people.exporting``."""

from enum import StrEnum


class Shape(StrEnum):
    """Rows for a trainer."""

    NOTES = "notes"
    PREFERENCES = "preferences"
    BEST_OF_N = "best-of-n"
    FEEDME = "feedme"
