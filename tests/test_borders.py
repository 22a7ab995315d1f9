"""Who may know whom: the imports of the package, as they stand in its files."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "dali_mix"
FOREIGN = {"numpy", "torch", "nvidia", "PIL", "matplotlib", "tqdm"}

ROOMS = {
    "__init__": {"methods", "plugin"},
    "__main__": {"commands"},
    "methods": set(),
    "plan": set(),
    "plugin": set(),
    "training": {"plan"},
    "reference": {"plan"},
    "images": {"methods"},
    "graph": {"methods", "plan", "plugin"},
    "fn": {"graph", "methods", "plan", "plugin"},
    "dynamic": {"graph", "methods", "plan", "plugin"},
    "migrate": {"methods"},
    "recipes": {"fn", "graph", "images", "methods", "migrate"},
    "loader": {"graph", "images", "methods", "plan", "plugin", "recipes", "training"},
    "measure": {"fn", "images", "methods", "plan", "reference", "training"},
    "commands": {"fn", "images", "measure", "methods", "plugin", "recipes"},
}
"""Each room of the package, a folder or a module, and the rooms that it may import from."""


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in PACKAGE.rglob("*.py") if path.parent.name != "native"}


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Also those inside functions; not those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        yield from statements(node)


def imports_of(name: str) -> set[str]:
    """Modules that the file imports: those of the package in full, others by their first name."""
    found: set[str] = set()
    for node in statements(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{name}: a relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {full if full in FILES else node.module for full in whole}
    return {full if full in FILES else full.partition(".")[0] for full in found}


IMPORTS = {name: imports_of(name) for name in FILES}


def reached(name: str) -> set[str]:
    """All that a module imports, and all that these import."""
    seen: set[str] = set()
    left = [name]
    while left:
        for other in IMPORTS.get(left.pop(), ()):
            if other not in seen:
                seen.add(other)
                left.append(other)
    return seen


def room(name: str) -> set[str]:
    return {module for module in FILES if f"{module}.".startswith(f"dali_mix.{name}.")}


def test_the_files_are_read():
    assert len(FILES) > 50 and {"dali_mix.fn", "dali_mix.graph.mixing"} <= {*FILES}
    assert {"dali_mix.graph.door", "nvidia"} <= IMPORTS["dali_mix.fn"]
    assert "torch" in reached("dali_mix.loader.mix_loader") and "nvidia" in reached(
        "dali_mix.graph.mode"
    )


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_module_imports_itself_by_way_of_others(name):
    assert name not in reached(name)


@pytest.mark.parametrize("name", sorted(room("reference")))
def test_the_reference_knows_numpy_alone(name):
    standard = {other for other in reached(name) if other in sys.stdlib_module_names}
    rest = reached(name) - standard - room("reference")
    assert rest <= {"numpy", "dali_mix.plan"}
    assert not FOREIGN & reached("dali_mix.plan")


@pytest.mark.parametrize("name", sorted(room("methods")))
def test_methods_know_nothing_but_themselves(name):
    assert not FOREIGN & reached(name)
    assert {other for other in reached(name) if other in FILES} <= room("methods")


@pytest.mark.parametrize("name", sorted({*room("graph"), "dali_mix.fn", "dali_mix.dynamic"}))
def test_the_graph_knows_no_torch(name):
    assert "torch" not in reached(name)


@pytest.mark.parametrize("name", sorted(room("training")))
def test_the_side_of_pytorch_knows_no_dali(name):
    assert "nvidia" not in reached(name)


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_room_imports_from_those_below_it_alone(name):
    own = room_of(name)
    assert {room_of(other) for other in IMPORTS[name] if other in FILES} <= {own, *ROOMS[own]}


def test_no_room_stands_above_itself():
    left = dict(ROOMS)
    while left:
        ground = [name for name, below in left.items() if not below & {*left}]
        assert ground, f"a circle among {sorted(left)}"
        for name in ground:
            del left[name]


PRIVATE = "dali_mix.plugin.dali_private"


def private_names(name: str) -> list[str]:
    """Underscored attributes that a module takes of what is not its own object or module."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(FILES[name].read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) not in ("self", "cls", "other")
    ]


# Of named tuples; of torch and the like; of objects of the same class.
NOT_DALI = {"_fields", "_replace", "_make", "_asdict"}


@pytest.mark.parametrize("name", sorted({*FILES} - room("training") - {PRIVATE}))
def test_what_is_private_to_dali_is_touched_in_one_module(name):
    assert [told for told in private_names(name) if told.rpartition(".")[2] not in NOT_DALI] == []
