"""Folders that may come from somebody else: their files are read only where they are regular and of a bounded size.

A link would bring in a file of the reader's own, a pipe would never end, and a device may do anything.
"""

import os
import stat
from pathlib import Path

from elicitation.errors import InvalidInput

LARGEST = 256 * 2**20
"""Bytes of a file that is read whole."""


def require_regular(path: Path, largest: int | None = LARGEST) -> None:
    """Raises InvalidInput unless ``path`` itself is a regular file of at most ``largest`` bytes; OSError if missing."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise InvalidInput(f"{path.name} is {kind}; put a copy of the file in its place")
    if largest is not None and found.st_size > largest:
        raise InvalidInput(
            f"{path.name} has {found.st_size} bytes > limit {largest}; name a folder that was written whole"
        )


def require_regular_tree(folder: Path) -> None:
    """Raises InvalidInput where anything below ``folder`` is neither a regular file nor a folder."""
    for place, folders, files in os.walk(folder):
        for name in files:
            require_regular(Path(place, name), None)
        for name in folders:
            if Path(place, name).is_symlink():
                raise InvalidInput(f"{name} is a link; put a copy of the folder in its place")
