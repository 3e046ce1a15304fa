"""What is installed where: the client's wheel, or the service from its checkout."""

from pathlib import Path

import pytest
from environments import OFFLINE, ROOT, Environment, installed_here, pip

CLIENT_NEEDS = ("httpx", "httpcore", "h11", "anyio", "idna", "certifi", "sniffio", "typing_extensions.py")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this project."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", *OFFLINE, "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment")


@pytest.fixture
def client_only(environment: Environment, wheel: Path, tmp_path: Path) -> Environment:
    """The wheel and what httpx needs."""
    needs = tmp_path / "needs"
    needs.mkdir()
    for folder in installed_here():
        for name in CLIENT_NEEDS:
            if (folder / name).exists() and not (needs / name).exists():
                (needs / name).symlink_to(folder / name)
    environment.see(needs)
    environment.install(str(wheel))
    return environment


@pytest.fixture
def checkout(environment: Environment) -> Environment:
    """The service as it is installed from a checkout, with the libraries of this process."""
    environment.see(*installed_here())
    environment.install("--editable", str(ROOT))
    return environment
