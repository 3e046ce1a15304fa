"""Arguments of the studies that take people from a suite's data."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from bench.compare.counts import at_least


def add_people(parser: argparse.ArgumentParser, suites: Iterable[str]) -> None:
    """The suite, by its name, and ``--data``."""
    parser.add_argument("suite", choices=tuple(suites), help="whose people take part")
    parser.add_argument("--data", type=Path, required=True, help="folder of the suite's data, or the folder above it")


def add_seeds(parser: argparse.ArgumentParser, default: int) -> None:
    """``--seeds`` and ``--first-seed``; every seed holds everybody out once."""
    parser.add_argument("--seeds", type=at_least(1), default=default, help=f"how many seeds (default {default})")
    parser.add_argument("--first-seed", type=at_least(0), default=0, help="default 0, as published")


def asked_seeds(options: argparse.Namespace) -> range:
    """The seeds that the ``options`` of ``add_seeds`` ask for."""
    return range(options.first_seed, options.first_seed + options.seeds)
