"""Known vulnerabilities of pinned packages, by pip-audit; an index that cannot say is INCONCLUSIVE, never a pass.

    python deploy/vulnerabilities.py PIP_AUDIT PINS …     a pin is a list with hashes, or name==version

Ends with 0 where none is known, 1 where some are, 3 where nobody could say. pip-audit ends with 0 also if the index
knew nothing of a package, and an index may leave vulnerabilities out of its replies. Therefore each package must have
been looked up, and a release that is known to be vulnerable must be found so first.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KNOWN = "requests==2.19.0"
"""CVE-2018-18074, published in 2018."""
NONE, SOME, INCONCLUSIVE = 0, 1, 3
SECONDS = 600


class Unanswered(Exception):
    """The index did not say."""


def examined(pip_audit: str, pins: str) -> list[dict[str, Any]]:
    """Each package of ``pins`` with its ``vulns``; raises Unanswered."""
    if pins.endswith(".txt"):
        return _asked(pip_audit, pins, "--require-hashes")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pins)
        file.flush()
        return _asked(pip_audit, file.name, "--no-deps")


def _asked(pip_audit: str, file: str, flag: str) -> list[dict[str, Any]]:
    command = [pip_audit, "--disable-pip", flag, "--format", "json", "--progress-spinner", "off", "-r", file]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)  # noqa: S603 - pip-audit
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise Unanswered(f"{Path(pip_audit).name} gave no report ({type(error).__name__})") from error
    skipped = sorted(package["name"] for package in packages if "vulns" not in package)
    if skipped or not packages:
        names = ", ".join(skipped[:5]) or "any package"
        raise Unanswered(f"the index could not say anything about {names} ({len(skipped)} of {len(packages)})")
    return packages


def main(pip_audit: str, pins: Sequence[str]) -> int:
    """Print what is known and return the exit code."""
    try:
        if not any(package["vulns"] for package in examined(pip_audit, KNOWN)):
            raise Unanswered(f"the index does not know that {KNOWN} is vulnerable")
        found = {(one["name"], one["version"]): one["vulns"] for pin in pins for one in examined(pip_audit, pin)}
    except Unanswered as reason:
        print(f"INCONCLUSIVE: {reason}; run it where an index with advisories answers")
        return INCONCLUSIVE
    for (name, version), vulns in sorted(found.items()):
        for vuln in vulns:
            print(f"{name} {version}: {vuln['id']}, mended in {', '.join(vuln['fix_versions']) or 'no release yet'}")
    number = sum(map(len, found.values()))
    print(f"{number} known vulnerabilities in {len(found)} packages")
    return SOME if number else NONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
