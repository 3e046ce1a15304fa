"""The client stands alone: httpx, the standard library, and nothing of ours or of a framework."""

import subprocess
import sys

OURS = ("best_of_n", "noisy_gate", "online_budget", "proper_rewards")
ADAPTERS = ("its_hub", "openrlhf", "rewardbench", "search_and_learn", "swift", "verl")
MODULES = ("keel", *(f"keel.{name}" for name in OURS), *(f"keel.adapters.{name}" for name in ADAPTERS))
STRANGERS = {"torch", "numpy", "trl", "transformers", "swift", "verl", "openrlhf", "app", "safeguards", "elicitation"}


def test_importing_the_client_and_all_adapters_imports_no_framework() -> None:
    script = f"import sys, {', '.join(MODULES)}; print(*{STRANGERS!r} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
