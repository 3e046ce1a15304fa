"""Empty virtual environments, filled without the network."""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
OFFLINE = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")


def installed_here() -> list[Path]:
    """The folders of packages that this process sees."""
    return [Path(entry) for entry in sys.path if entry.endswith("site-packages")]


def pip(*arguments: str) -> None:
    """Run the pip of this process."""
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)


class Environment:
    """A virtual environment in ``folder``, without pip."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self.folder, self.python, self.keel = folder, folder / "bin/python", folder / "bin/keel"

    def see(self, *folders: Path) -> None:
        """Find packages in these folders too."""
        (packages,) = self.folder.glob("lib/*/site-packages")
        (packages / "more.pth").write_text("\n".join(map(str, folders)))

    def install(self, *what: str) -> None:
        pip("--python", str(self.python), "install", *OFFLINE, *what)

    def run(self, *command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
        return subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=folder, env=clean, timeout=120)
