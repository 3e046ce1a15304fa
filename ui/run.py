"""The page in a process of its own, which ends with the process that started it: ``python -m ui.run ARGUMENTS``.

The starter holds the other end of standard input. It closes when the starter ends, also when that was killed.
"""

import os
import sys
import threading
from pathlib import Path

from streamlit.web.cli import main

PAGE = Path(__file__).with_name("main.py")


def end_with_starter() -> None:
    """Ends this process once standard input ends."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_starter, daemon=True).start()
    sys.argv[1:] = ["run", str(PAGE), *sys.argv[1:]]
    main()
