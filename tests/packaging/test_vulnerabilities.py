"""make audit: what is known is said, and an index that cannot say is no pass."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from environments import ROOT

pytestmark = pytest.mark.slow

CANARY = "requests"
BAD = [{"id": "CVE-1", "fix_versions": ["2.0"]}]


def audited(folder: Path, replies: dict[str, object], code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the audit of one pin with a pip-audit that answers ``replies`` for the package that it is asked about."""
    (folder / "replies.json").write_text(json.dumps(replies))
    program = folder / "pip-audit"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, re, sys\n"
        f"replies = json.load(open({str(folder / 'replies.json')!r}))\n"
        "name = re.split('=', open(sys.argv[-1]).read())[0]\n"
        "print(replies[name] if isinstance(replies[name], str) else json.dumps({'dependencies': replies[name]}))\n"
        f"sys.exit({code})\n"
    )
    program.chmod(0o755)
    command = [sys.executable, str(ROOT / "deploy/vulnerabilities.py"), str(program), "torch==1.0"]
    return subprocess.run(command, capture_output=True, text=True)


def package(name: str, **known: object) -> list[dict[str, object]]:
    return [{"name": name, "version": "1.0", **known}]


def test_nothing_known_is_a_pass_if_the_index_knows_what_is_vulnerable(tmp_path: Path) -> None:
    done = audited(tmp_path, {CANARY: package(CANARY, vulns=BAD), "torch": package("torch", vulns=[])})
    assert (done.returncode, done.stdout) == (0, "0 known vulnerabilities in 1 packages\n")


def test_what_is_known_is_named_with_its_remedy(tmp_path: Path) -> None:
    done = audited(tmp_path, {CANARY: package(CANARY, vulns=BAD), "torch": package("torch", vulns=BAD)}, code=1)
    assert done.returncode == 1
    assert "torch 1.0: CVE-1, mended in 2.0" in done.stdout


@pytest.mark.parametrize(
    "replies",
    [
        {CANARY: package(CANARY, vulns=[]), "torch": package("torch", vulns=[])},
        {CANARY: package(CANARY, skip_reason="not found"), "torch": package("torch", vulns=[])},
        {CANARY: package(CANARY, vulns=BAD), "torch": package("torch", skip_reason="not found")},
        {CANARY: package(CANARY, vulns=BAD), "torch": []},
        {CANARY: "", "torch": ""},
        {CANARY: "{}", "torch": "{}"},
    ],
    ids=["no advisories", "canary unknown", "package unknown", "nothing examined", "no reply", "another reply"],
)
def test_an_index_that_cannot_say_is_inconclusive(replies: dict[str, object], tmp_path: Path) -> None:
    done = audited(tmp_path, replies)
    assert done.returncode == 3
    assert done.stdout.startswith("INCONCLUSIVE")


def test_no_pip_audit_is_inconclusive(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "deploy/vulnerabilities.py"), str(tmp_path / "none"), "torch==1.0"]
    assert subprocess.run(command, capture_output=True).returncode == 3
