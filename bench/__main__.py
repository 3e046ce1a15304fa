"""``python -m bench [speed] [--json]``: run a suite and print its numbers."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from bench import speed

SUITES: dict[str, Callable[[], dict[str, Any]]] = {"speed": speed.run}


def main() -> None:
    parser = argparse.ArgumentParser(prog="keel bench", description=__doc__)
    parser.add_argument("suite", nargs="?", choices=sorted(SUITES), default="speed")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    arguments = parser.parse_args()
    result = SUITES[arguments.suite]()
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
