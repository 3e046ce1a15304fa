"""``python -m app`` is the command ``keel``."""

from app.cli import main

main()
