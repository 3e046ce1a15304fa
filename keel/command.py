"""The command ``keel``: the service's command line in a checkout, one sentence where the client alone is installed."""

import sys
from importlib import import_module
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
ALONE = (
    "The service and its commands run from a checkout, and this is the client alone: "
    "clone the repository and run `make run` there."
)


def main() -> None:
    """Run the command line; exits with 1 and what to do when the service or a library of it is missing."""
    if not (CHECKOUT / "pyproject.toml").is_file():
        sys.exit(ALONE)
    try:
        command_line = import_module("app.cli")
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed; run `pip install -e '.[service]'` in {CHECKOUT}")
    command_line.main()
