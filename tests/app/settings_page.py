"""Writes docs/settings.md from the fields of the settings; run as a script it prints the page."""

from typing import get_args

from pydantic.fields import FieldInfo

from app.cli import defaults
from app.settings import Settings

COMMAND = ".venv/bin/python tests/app/settings_page.py > docs/settings.md"
HEAD = f"""# Settings

Every setting has up to three places, in rising order of precedence: a line in `keel.toml`, an environment variable and,
for some, a flag. `keel serve --help` shows the values in force. `/info` shows the limits.

The file is `~/.config/keel/keel.toml` (`$XDG_CONFIG_HOME/keel/keel.toml` where that is set), or the one that
`keel --config FILE` or `KEEL_CONFIG` names. An unknown name in it is an error. A `keel.toml` in the current folder is
not read; each command says so, and how to read it. A `KEEL_` variable that is no setting is named with the nearest one
that is.

This page is generated: `{COMMAND}`.

| in `keel.toml` | variable | flag | default | allowed | meaning |
| --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page, as Markdown."""
    flags = {name for given in defaults(Settings.model_construct()).values() for name in given}
    return HEAD + "".join(_row(name, field, name in flags) for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo, flag: bool) -> str:
    shown_flag = f"`--{name.replace('_', '-')}`" if flag else ""
    cells = (f"`{name}`", f"`KEEL_{name.upper()}`", shown_flag, _default(field), _allowed(field), field.description)
    return f"| {' | '.join(map(str, cells))} |\n"


def _default(field: FieldInfo) -> str:
    if isinstance(field.default, tuple):
        return f"`{','.join(field.default)}`" if field.default else ""
    return f"`{field.default}`" if field.default not in (None, "", ()) else ""


def _allowed(field: FieldInfo) -> str:
    """Bounds of a number, or the names that may be chosen."""
    names = [f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str)]
    least = [f"at least {rule.ge}" for rule in field.metadata if hasattr(rule, "ge")]
    most = [f"at most {rule.le}" for rule in field.metadata if hasattr(rule, "le")]
    return ", ".join([*names, *least, *most])


if __name__ == "__main__":
    print(page(), end="")
