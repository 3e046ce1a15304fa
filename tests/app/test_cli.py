"""The command line: what it prints where, how it ends, and what it refuses."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from listening import lives, service_of
from typer.testing import CliRunner

from app.cli import app
from keel import Client

pytestmark = pytest.mark.slow

KEEL = [sys.executable, "-m", "app"]
COMMANDS = ("serve", "demo", "ask", "score", "rank", "profile", "audit", "bench", "export", "erase")
NOBODY = "http://127.0.0.1:9"
PATIENCE = 180
"""Seconds for a command or a service on a busy machine."""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    command = [*KEEL, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=False, timeout=PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(tmp_path: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``keel serve`` as a person starts it, ready."""
    port = free_port()
    command = [*KEEL, "serve", "--port", str(port), "--data-dir", str(tmp_path / "data"), *flags]
    errors = (tmp_path / "stderr").open("w")
    with errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/health/ready", process)
            yield process, url
        finally:
            process.terminate()


def wait_for(url: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{url} did not come up")


def json_of(url: str, *arguments: str, code: int = 0) -> dict[str, object]:
    """The one JSON object on standard output."""
    result = CliRunner().invoke(app, [*arguments, "--url", url, "--json"])
    assert result.exit_code == code, result.output
    parsed: dict[str, object] = json.loads(result.stdout)
    return parsed


def test_help_lists_every_command_and_the_settings_in_force() -> None:
    assert all(command in run("--help").stdout for command in COMMANDS)
    shown = run("serve", "--help", KEEL_PORT="4321", COLUMNS="120").stdout
    assert "4321" in shown
    assert "KEEL_PORT" in shown


def test_help_of_the_benchmarks_lists_the_suites_in_a_checkout_and_asks_for_one_elsewhere(tmp_path: Path) -> None:
    shown = run("bench", "--help")
    assert shown.returncode == 0
    assert all(f"\n  {suite} " in shown.stdout for suite in ("attributes", "polis-text", "votes", "speed", "page"))
    variables = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    command = [*KEEL, "bench", "--help"]
    elsewhere = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=variables, check=True)
    assert "run from a checkout" in elsewhere.stdout


def test_help_loads_neither_torch_nor_the_service() -> None:
    code = (
        "import sys, app.cli; print([m for m in ('torch', 'botorch', 'transformers', 'fastapi') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_bad_setting_is_named_with_its_remedy() -> None:
    result = run("profile", KEEL_PORT="many")
    assert result.returncode == 2
    assert "KEEL_PORT" in result.stderr
    assert "many" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_settings_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "keel.toml").write_text("port = = 1")
    code = "from app.cli import main; main()"
    variables = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", code, "--config", "keel.toml", "profile"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=variables)
    assert result.returncode == 2
    assert "keel.toml" in result.stderr
    assert "Traceback" not in result.stderr


def test_serving_others_without_a_key_is_refused() -> None:
    result = run("serve", "--host", "0.0.0.0")
    assert result.returncode == 1
    assert "no key exists" in result.stderr


@pytest.mark.parametrize("flag", ["--port", "--ui-port"])
def test_a_taken_port_is_named_with_the_way_out(flag: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = str(holder.getsockname()[1])
        other = "--ui-port" if flag == "--port" else "--port"
        result = run("serve", flag, taken, other, str(free_port()))
    assert result.returncode == 1
    assert f"{flag[2:]} {taken}" in result.stderr
    assert flag in result.stderr


def test_without_a_service_a_command_says_how_to_start_one() -> None:
    result = run("profile", "--url", NOBODY, "--json")
    assert (result.returncode, result.stdout) == (1, "")
    assert "keel serve" in result.stderr


def test_questions_are_answered_in_the_terminal(live: str) -> None:
    typed = "nonsense\nl\nu\nR\ns\nq\n"
    result = CliRunner().invoke(app, ["ask", "--user", "ada", "--url", live, "--json"], input=typed)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["answered"] == 2
    assert "Question 1 of about" in result.stderr
    with Client(live) as client:
        log = client.export("ada")["answers"]
    assert [entry.get("choice") for entry in log] == ["left", None, "right", "same"]
    assert log[2]["strength"] == "clear"


def test_each_command_gives_one_json_object(live: str, tmp_path: Path) -> None:
    with Client(live) as client:
        client.ask("ada")
    scores = json_of(live, "score", "Basil?", "Water it.", "Give it light.", "--user", "ada")
    assert len(scores["rewards"]) == 2  # type: ignore[arg-type]
    ranking = json_of(live, "rank", "Basil?", "Water it.", "Give it light.", "--rule", "pessimistic")
    assert {result["index"] for result in ranking["results"]} == {0, 1}  # type: ignore[attr-defined]
    assert json_of(live, "profile", "--user", "ada")["answered"] == 0
    assert json_of(live, "export", "--user", "ada")["user_id"] == "ada"
    audit = json_of(live, "audit", "--html", str(tmp_path / "audit.html"))
    assert audit["audit_id"] in (tmp_path / "audit.html").read_text()  # type: ignore[operator]
    assert json_of(live, "erase", "--user", "ada", "--yes") == {"user_id": "ada", "erased": True}


def test_people_get_tables(live: str) -> None:
    with Client(live) as client:
        client.ask("ada")
    for arguments, words in (
        (("score", "Basil?", "Water it."), ("reward", "Water it.")),
        (("rank", "Basil?", "Water it.", "Light!"), ("probability", "Light!")),
        (("profile", "--user", "ada"), ("aggregate", "quality")),
        (("audit",), ("metric", "inconclusive")),
    ):
        result = CliRunner().invoke(app, [*arguments, "--url", live], env={"COLUMNS": "160"})
        assert result.exit_code == 0, result.output
        assert all(word in result.stdout for word in words), result.stdout


def test_erasing_asks_first(live: str) -> None:
    with Client(live) as client:
        client.ask("ada")
        result = CliRunner().invoke(app, ["erase", "--user", "ada", "--url", live], input="n\n")
        assert result.exit_code == 1
        assert client.profile("ada").answered == 0


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_service_serves_both_and_ends_cleanly(tmp_path: Path, end: signal.Signals) -> None:
    ui_port = free_port()
    with serving(tmp_path, "--ui-port", str(ui_port)) as (process, url):
        page = f"http://127.0.0.1:{ui_port}"
        wait_for(f"{page}/_stcore/health", process)
        assert httpx.get(f"{url}/info").json()["name"] == "keel"
        assert httpx.get(page).status_code == 401
        process.send_signal(end)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert url in output
        assert f"{page}/?token=" in output
        with pytest.raises(httpx.ConnectError):
            httpx.get(page)


def test_an_acknowledged_answer_survives_a_killed_service(tmp_path: Path) -> None:
    with serving(tmp_path, "--no-ui") as (process, url), Client(url) as client:
        question = client.ask("ada")
        assert question is not None
        told = client.tell("ada", question.question_id, "left", idempotency_key="k")
        process.kill()
        process.wait()
    with serving(tmp_path, "--no-ui") as (_, url), Client(url) as client:
        assert client.profile("ada").version == told.profile_version
        assert client.tell("ada", question.question_id, "left", idempotency_key="k") == told


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing starts it again")
def test_a_killed_service_is_started_again_and_the_page_goes_on(tmp_path: Path) -> None:
    ui_port = free_port()
    with serving(tmp_path, "--ui-port", str(ui_port)) as (process, url):
        wait_for(f"http://127.0.0.1:{ui_port}/_stcore/health", process)
        before = service_of(process.pid)
        (page,) = set(children(process.pid)) - {before}
        os.kill(before, signal.SIGKILL)
        wait_for(f"{url}/health/ready", process)
        after = service_of(process.pid)
        assert after != before
        assert set(children(process.pid)) == {after, page}
        assert '"event": "killed", "signal": "SIGKILL"' in (tmp_path / "stderr").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_page_and_its_key_end_with_the_service_however_it_ends(
    tmp_path: Path, end: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    key = json.loads(CliRunner().invoke(app, ["key", "create", "--tenant", "acme", *data_of(tmp_path)]).stdout)["key"]
    monkeypatch.setenv("KEEL_KEY", key)
    monkeypatch.setenv("KEEL_LOGIN", "header")
    ui_port = free_port()
    with serving(tmp_path, "--ui-port", str(ui_port)) as (process, _):
        wait_for(f"http://127.0.0.1:{ui_port}/_stcore/health", process)
        started = children(process.pid)
        assert len(started) == 2
        assert not any(key in path.read_text() for path in tmp_path.rglob("*") if is_text(path))
        process.send_signal(end)
        process.wait()
        deadline = time.monotonic() + 10
        while any(map(lives, started)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(lives, started))
    assert not any(key in path.read_text() for path in tmp_path.rglob("*") if is_text(path))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{ui_port}")


def data_of(tmp_path: Path) -> tuple[str, ...]:
    return ("--data-dir", str(tmp_path / "data"), "--json")


def is_text(path: Path) -> bool:
    return path.is_file() and not path.name.startswith("keel.db")


def children(process: int) -> list[int]:
    """Processes that it has started and that live."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return [child for child, parent in parents.items() if parent == process]
