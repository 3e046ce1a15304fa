"""The floors of the house: imports only run downward, at every level; ``layers.toml`` states the order."""

import tomllib
from pathlib import Path

import pytest
from source_tree import (
    arrows,
    attributes,
    between_children,
    children,
    circle,
    function_lengths,
    imported_names,
    modules,
    packages,
    same_names,
    upward,
)

ROOT = Path(__file__).parent.parent
TABLE = tomllib.loads((ROOT / "tests/layers.toml").read_text())
FOLDERS, LIBRARIES, LAYERS, LIMITS = (TABLE[name] for name in ("folders", "libraries", "layers", "limits"))
MODULES = modules(ROOT, FOLDERS)
ARROWS = arrows(MODULES)


def files(folder: str) -> list[Path]:
    return [path for name, path in MODULES.items() if name.split(".")[0] == folder]


def top_names(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported_names(path)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_the_folders_below(folder: str) -> None:
    assert files(folder), f"{folder}/ holds no modules"
    for path in files(folder):
        assert top_names(path) & set(FOLDERS) <= {folder, *FOLDERS[folder]}, path


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_library_stays_in_its_folder(folder: str) -> None:
    for path in files(folder):
        strangers = {name for name in top_names(path) if folder not in LIBRARIES.get(name, [folder])}
        assert not strangers, path


@pytest.mark.parametrize("folder", sorted(set(FOLDERS) - set(TABLE["environment"]["read"])))
def test_only_the_service_reads_the_environment(folder: str) -> None:
    for path in files(folder):
        assert not attributes(path) & {"environ", "getenv"}, path


@pytest.mark.parametrize("package", LAYERS)
def test_every_part_of_a_package_has_one_place_in_its_layers(package: str) -> None:
    placed = " ".join(LAYERS[package]).split()
    assert len(placed) == len(set(placed)), f"a name stands twice under {package} in tests/layers.toml"
    there = children(package, MODULES)
    assert set(placed) == there, f"{package} in tests/layers.toml: add or remove {sorted(set(placed) ^ there)}"


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_downward_inside(package: str) -> None:
    wrong = upward(LAYERS[package], between_children(package, ARROWS))
    assert not wrong, f"{package}: {sorted(wrong)} do not run downward in tests/layers.toml"


@pytest.mark.parametrize("package", sorted(packages(MODULES)))
def test_the_parts_of_a_package_import_each_other_in_no_circle(package: str) -> None:
    assert not circle(between_children(package, ARROWS)), package


def test_files_import_each_other_in_no_circle() -> None:
    assert not circle(ARROWS)


def test_the_service_stays_as_loosely_coupled_as_it_is() -> None:
    inside = {arrow for arrow in ARROWS if all(name.split(".")[0] == "app" for name in arrow)}
    pairs = between_children("app", ARROWS)
    print(f"app/: {len(pairs)} pairs of parts, {len(inside)} imports between files")
    assert len(pairs) <= LIMITS["pairs_in_app"], f"{len(pairs)} pairs of parts of app/ import each other"
    assert len(inside) <= LIMITS["imports_in_app"], f"{len(inside)} imports between files of app/"


def test_functions_stay_short() -> None:
    lengths = sorted(found for path in MODULES.values() for found in function_lengths(path))
    p90 = lengths[len(lengths) * 9 // 10][0]
    assert p90 <= LIMITS["lines_p90"], f"the 90th percentile of function lengths is {p90} lines"
    longest, where = lengths[-1]
    assert longest <= LIMITS["lines_longest"], f"{where} has {longest} lines"


def test_no_two_modules_of_the_tests_share_a_name() -> None:
    shared = [" and ".join(str(path.relative_to(ROOT)) for path in paths) for paths in same_names(ROOT / "tests")]
    assert not shared, f"{'; '.join(shared)} have one name, so that one is taken for the other; rename one"


def written(root: Path, **texts: str) -> dict[str, Path]:
    """A tree of modules; ``a__b`` stands for ``a/b.py``."""
    for name, text in texts.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return modules(root, {name.split("__")[0] for name in texts})


def test_an_import_inside_a_function_is_seen(tmp_path: Path) -> None:
    tree = written(tmp_path, house__low="def f():\n    from house.high import g\n", house__high="g = 1\n")
    seen = between_children("house", arrows(tree))
    assert seen == {("low", "high")}
    assert upward(["low", "high"], seen) == seen
    assert upward(["high", "low"], seen) == set()


def test_a_circle_of_packages_without_a_circle_of_files_is_seen(tmp_path: Path) -> None:
    tree = written(
        tmp_path,
        house__a__one="import house.b.one\n",
        house__b__one="",
        house__b__two="from house.a import two\n",
        house__a__two="",
    )
    assert circle(arrows(tree)) == []
    assert set(circle(between_children("house", arrows(tree)))) == {"a", "b"}


def test_a_relative_import_is_refused(tmp_path: Path) -> None:
    tree = written(tmp_path, house__low="from . import high\n")
    with pytest.raises(ValueError, match=r"low\.py:1: relative import"):
        arrows(tree)


def test_modules_of_two_folders_with_one_name_are_seen(tmp_path: Path) -> None:
    written(
        tmp_path, a__test_one="", b__test_one="", b__test_two="", a__conftest="", b__conftest="", c__d__help="", help=""
    )
    found = [[str(path.relative_to(tmp_path)) for path in paths] for paths in same_names(tmp_path)]
    assert found == [["c/d/help.py", "help.py"], ["a/test_one.py", "b/test_one.py"]]


def test_a_docstring_adds_no_line_to_a_function(tmp_path: Path) -> None:
    (tmp_path / "low.py").write_text('def f():\n    """Two\n    lines."""\n    a = 1\n\n    return a\n')
    assert [lines for lines, _ in function_lengths(tmp_path / "low.py")] == [3]
