"""``keel serve`` prints the address that opens the page, and starts no page that cannot tell people apart."""

from pathlib import Path

import httpx
import pytest
from test_cli import free_port, serving, wait_for
from test_keys import arguments

from app.jobs.doctor import login
from app.settings import Settings
from app.web_page import require_login
from elicitation.errors import InvalidInput

PROVIDER = {
    "redirect_uri": "http://localhost:8501/oauth2callback",
    "cookie_secret": "c" * 32,
    "client_id": "keel",
    "client_secret": "s",
    "server_metadata_url": "https://id.example/.well-known/openid-configuration",
}


def written(folder: Path, provider: dict[str, str], more: str = "") -> Settings:
    file = folder / "oidc.toml"
    file.write_text("[auth]\n" + "".join(f'{name} = "{value}"\n' for name, value in provider.items()) + more)
    file.chmod(0o600)
    return Settings(login="oidc", oidc_file=file)


@pytest.mark.parametrize("more", ["", '[auth.client_kwargs]\nprompt = "login"\n'])
def test_a_whole_provider_is_taken(tmp_path: Path, more: str) -> None:
    settings = written(tmp_path, PROVIDER, more)
    assert [(finding.status, finding.found) for finding in login(settings, None)] == [
        ("ok", "people log in to the web page by oidc")
    ]


@pytest.mark.parametrize("missing", PROVIDER)
def test_a_provider_without_one_of_its_parts_is_refused(tmp_path: Path, missing: str) -> None:
    settings = written(tmp_path, {name: value for name, value in PROVIDER.items() if name != missing})
    with pytest.raises(InvalidInput, match=missing):
        require_login(settings, keyed=False)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("cookie_secret", "short", "5 characters"),
        ("redirect_uri", "http://localhost:8501/", "/oauth2callback"),
        ("redirect_uri", "https://evil.example/oauth2callback", "KEEL_ALLOWED_HOSTS"),
    ],
)
def test_a_provider_that_would_not_work_or_not_protect_is_refused(
    tmp_path: Path, part: str, value: str, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        require_login(written(tmp_path, {**PROVIDER, part: value}), keyed=False)


def test_two_providers_could_name_different_people_alike_and_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="second provider"):
        require_login(written(tmp_path, PROVIDER, '[auth.other]\nclient_id = "keel"\n'), keyed=False)


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="KEEL_OIDC_FILE"):
        require_login(Settings(login="oidc"), keyed=False)
    (tmp_path / "oidc.toml").write_text("[auth")
    with pytest.raises(InvalidInput, match="no TOML"):
        require_login(Settings(login="oidc", oidc_file=tmp_path / "oidc.toml"), keyed=False)


@pytest.mark.slow
def test_the_printed_address_opens_the_page_and_its_token_is_in_no_argument_and_no_log(tmp_path: Path) -> None:
    ui_port = free_port()
    with serving(tmp_path, "--ui-port", str(ui_port)) as (process, _), httpx.Client(follow_redirects=True) as browser:
        assert process.stdout is not None
        _, address = process.stdout.readline().strip(), process.stdout.readline().split()[1]
        wait_for(f"http://127.0.0.1:{ui_port}/_stcore/health", process)
        assert browser.get(f"http://127.0.0.1:{ui_port}/").status_code == 401
        assert browser.get(address).status_code == 200
        assert browser.get(f"http://127.0.0.1:{ui_port}/profile").status_code == 200
        commands = [arguments(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    token = address.partition("?token=")[2]
    assert len(token) >= 43
    assert any(b"--token-file" in line for line in commands)
    assert not any(token.encode() in line for line in commands)
    assert token not in (tmp_path / "stderr").read_text()
