"""Formats for the export of a person's answers; ``app.people.exporting`` describes their rows."""

from enum import StrEnum


class Shape(StrEnum):
    """Rows for a trainer."""

    NOTES = "notes"
    PREFERENCES = "preferences"
    BEST_OF_N = "best-of-n"
    FEEDME = "feedme"
