"""A service that is killed is started again; one that ends by itself, or is asked to, is not."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from listening import lives, service_of

PATIENCE = 30
BEGINNING = """
import os, signal, sys, time
from pathlib import Path
from app import supervisor

folder = Path(sys.argv[1])

def starts():
    with (folder / "starts").open("a") as file:
        print(os.getpid(), file=file)
    return len((folder / "starts").read_text().splitlines())

def prepare():
    with (folder / "prepared").open("a") as file:
        print("prepared", file=file)

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def ends(*_):
    raise SystemExit(0)
"""
SLEEPING = """
signal.signal(signal.SIGTERM, ends)
def serve():
    starts()
    try:
        time.sleep(60)
    finally:
        (folder / "ended").touch()
sys.exit(supervisor.supervise(serve, prepare))
"""
DEAF = """
supervisor.STOP_SECONDS = 0.5
signal.signal(signal.SIGTERM, ends)
def serve():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    starts()
    time.sleep(60)
sys.exit(supervisor.supervise(serve, prepare))
"""
Run = Callable[[str], subprocess.Popen[str]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts a supervisor of a small program in a process of its own."""
    running: list[subprocess.Popen[str]] = []

    def start(program: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", BEGINNING + program, str(tmp_path)]
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def starts(folder: Path) -> list[int]:
    file = folder / "starts"
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_killed_service_is_started_again_and_the_log_names_the_signal(run: Run, tmp_path: Path) -> None:
    process = run("def serve():\n    starts() == 1 and killed()\nsys.exit(supervisor.supervise(serve, prepare))")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert len(set(starts(tmp_path))) == 2
    assert errors.count("killed") == 1


def test_what_is_imported_while_the_first_service_runs_is_there_for_the_others(run: Run, tmp_path: Path) -> None:
    process = run("""
def prepare():
    import wave
    with (folder / "prepared").open("a") as file:
        print("prepared", file=file)

def serve():
    start = starts()
    if start > 1 and "wave" not in sys.modules:
        sys.exit(1)
    while not (folder / "prepared").exists():
        time.sleep(0.02)
    start < 4 and killed()

sys.exit(supervisor.supervise(serve, prepare))
""")
    assert process.wait(PATIENCE) == 0
    assert len(starts(tmp_path)) == 4
    assert (tmp_path / "prepared").read_text() == 4 * "prepared\n"


def test_a_service_that_ends_by_itself_is_not_started_again(run: Run, tmp_path: Path) -> None:
    process = run("def serve():\n    starts()\n    sys.exit(3)\nsys.exit(supervisor.supervise(serve, prepare))")
    assert process.wait(PATIENCE) == 3
    assert len(starts(tmp_path)) == 1


@pytest.mark.parametrize(("well", "pauses"), [("10", [0, 0, 1, 2, 5, 10, 30, 30]), ("0", [0] * 8)])
def test_a_service_that_is_killed_at_once_is_started_less_and_less_often(
    run: Run, tmp_path: Path, well: str, pauses: list[int]
) -> None:
    process = run(f"""
paused = []
supervisor.WELL_SECONDS = {well}
supervisor.time.sleep = paused.append
def serve():
    starts() < 9 and killed()
supervisor.supervise(serve, prepare)
sys.exit(str(paused))
""")
    _, errors = process.communicate(timeout=PATIENCE)
    assert errors.splitlines()[-1] == str(pauses)


def test_a_stop_ends_the_service_in_order(run: Run, tmp_path: Path) -> None:
    process = run(SLEEPING)
    wait_for(lambda: starts(tmp_path))
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert (tmp_path / "ended").exists()
    assert not lives(starts(tmp_path)[0])


def test_an_interrupt_at_the_terminal_reaches_the_supervisor_alone(run: Run, tmp_path: Path) -> None:
    process = run(SLEEPING)
    wait_for(lambda: starts(tmp_path))
    (service,) = starts(tmp_path)
    assert service == service_of(process.pid)
    group = [Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()[2] for one in (process.pid, service)]
    assert group[0] != group[1]


def test_a_service_that_does_not_end_in_time_is_killed(run: Run, tmp_path: Path) -> None:
    process = run(DEAF)
    wait_for(lambda: starts(tmp_path))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert not lives(starts(tmp_path)[0])
    assert len(starts(tmp_path)) == 1


def test_a_service_ends_with_its_supervisor_however_that_ends(run: Run, tmp_path: Path) -> None:
    process = run(SLEEPING)
    wait_for(lambda: starts(tmp_path))
    process.kill()
    process.wait()
    wait_for(lambda: not lives(starts(tmp_path)[0]))
    assert len(starts(tmp_path)) == 1
