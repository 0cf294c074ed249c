"""Arrows between the rooms, and that importing has no effect."""

import ast
from pathlib import Path

import children

import nst_tf

PACKAGE = Path(nst_tf.__file__).parent
# Every room, from the ground up: it imports rooms above it in this list only.
ARROWS = {
    "errors": set(),
    "locks": set(),
    "files": {"locks"},
    "urls": set(),
    "watcher": {"locks"},
    "terminal": {"watcher", "urls"},
    "screens": {"terminal"},
    "display": {"screens", "terminal"},
    "cells": {"screens"},
    "backend": {"display", "errors", "watcher"},
    "network": {"backend", "display", "errors", "files", "urls"},
    "metadata": set(),
    "images": {
        *("backend", "display", "errors", "files", "locks", "metadata"),
        "urls",
    },
    "losses": {"backend", "network"},
    "plan": {
        *("backend", "errors", "images", "losses", "network", "screens"),
        "urls",
    },
    "tiling": {"backend", "losses", "network", "plan"},
    "optimize": {"backend", "display", "losses", "plan"},
    "transfer": {
        *("backend", "errors", "images", "losses", "network", "optimize"),
        *("plan", "tiling"),
    },
    "runs": {
        *("backend", "errors", "files", "images", "locks", "network"),
        *("metadata", "optimize", "plan", "terminal", "transfer", "urls"),
        *("cells", "display", "screens"),
    },
    "judge": {
        *("backend", "errors", "images", "losses", "network", "plan"),
        *("terminal", "transfer"),
    },
    "cli": {
        *("backend", "display", "errors", "files", "images", "judge"),
        *("network", "optimize", "plan", "runs", "terminal", "transfer"),
        *("urls", "watcher"),
    },
    "batch": {
        *("backend", "cli", "display", "errors", "files", "images", "judge"),
        *("locks", "network", "optimize", "plan", "runs", "screens"),
        *("terminal", "urls", "watcher"),
    },
    "web": {
        *("cli", "display", "errors", "files", "images", "judge", "locks"),
        *("optimize", "plan", "runs", "screens", "terminal"),
    },
    "video": {
        *("backend", "cli", "display", "errors", "files", "images", "judge"),
        *("locks", "losses", "metadata", "plan", "runs", "screens"),
        *("terminal", "transfer", "urls", "watcher"),
    },
    "notebook": {
        *("backend", "cells", "display", "errors", "images", "optimize"),
        *("plan", "runs", "terminal", "watcher"),
    },
    "run": {"cli", "terminal"},
    "__main__": {"run"},
}


def _imports(path):
    """The rooms that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        package, _, rest = node.module.partition(".")
        if package == "nst_tf":
            rooms = [rest] if rest else [alias.name for alias in node.names]
            yield from (room.partition(".")[0] for room in rooms)


def test_imports_follow_the_arrows():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        found.setdefault(room, set()).update({*_imports(path)} - {room})
    assert found.pop("__init__") == {"backend"}  # prepares TensorFlow
    assert found == ARROWS
    seen = set()
    for room, others in ARROWS.items():
        assert others <= seen, room
        seen.add(room)


def test_the_package_is_fifteen_rooms_of_at_most_16_modules():
    entries = [p for p in PACKAGE.iterdir() if p.name != "__pycache__"]
    rooms = [p for p in entries if (p / "__init__.py").exists()]
    assert len(rooms) == 15
    assert sum(path.is_file() for path in entries) <= 16  # one is the stub
    text = (PACKAGE / "README.md").read_text()
    for room in rooms:
        modules = [path.stem for path in room.glob("[!_]*.py")]
        assert len(modules) <= 16, room
        assert f"| `{room.name}/` |" in text
        for name in modules:
            assert f"`{name}`" in text, (room, name)


def test_importing_has_no_effect_and_loads_no_tensorflow(tmp_path):
    code = (
        "import sys, logging; import nst_tf, nst_tf.run, nst_tf.cli.flags;"
        "nst_tf.stylize; nst_tf.notebook.show; nst_tf.judge_image;"
        "nst_tf.losses, nst_tf.network.load_weights, nst_tf.optimize;"
        "assert 'IPython' not in sys.modules;"
        "from absl import flags;"
        "assert 'size' not in flags.FLAGS;"
        "assert not logging.getLogger().handlers;"
        "assert nst_tf.run.main(['--help']) == 0;"
        "assert nst_tf.run.main(['--sise=3']) == 1;"
        "assert 'tensorflow' not in sys.modules"
    )
    children.run_python("-c", code, cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())
