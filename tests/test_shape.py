"""What is held of every module: its length, its parameters, who sees a job."""

import ast
from pathlib import Path

import nst_tf

PACKAGE = Path(nst_tf.__file__).parent
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text())
    for path in PACKAGE.rglob("*.py")
}
TABLE = "plan/settings.py"  # of all settings, one entry each
MOST_LINES = 350
MOST_PARAMETERS = 8
# Below `runs`, only `plan` sees a job: all else gets a plan. The judge has one
# of its own, for the pictures that it compares.
ROOMS_WITH_JOBS = {
    *("plan", "cli", "judge", "batch", "web", "video", "__init__.py"),
    "notebook.py",
}
RUNS_WITH_JOBS = {
    f"runs/{name}.py"
    for name in ("api", "records", "rerun", "results", "run_log", "description")
}


def _count_parameters(function):
    given = function.args
    each = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    each += [more for more in (given.vararg, given.kwarg) if more]
    return len([part for part in each if part.arg not in ("self", "cls")])


def test_no_module_is_long_but_the_table_of_settings():
    long = {
        name: lines
        for name in TREES
        if (lines := len((PACKAGE / name).read_text().splitlines()))
        > MOST_LINES
    }
    assert set(long) <= {TABLE}, long


def test_no_function_has_many_parameters():
    many = {
        f"{name}: {node.name}": _count_parameters(node)
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.Lambda)
        and _count_parameters(node) > MOST_PARAMETERS
        and name != TABLE
    }
    assert not many


def test_a_job_is_named_by_what_reads_or_records_it_only():
    naming = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) == "settings.Job"
    }
    others = {
        name
        for name in naming - RUNS_WITH_JOBS
        if name.split("/")[0] not in ROOMS_WITH_JOBS
    }
    assert not others


def test_a_plan_is_what_tiles_optimizers_and_losses_know_of_a_job():
    for name, tree in TREES.items():
        room = name.split("/")[0]
        if room not in ("losses", "network", "images", "backend", "tiling",
                        "optimize", "transfer"):  # fmt: skip
            continue
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "nst_tf.plan"
            for alias in node.names
        }
        assert "settings" not in imported, name


def test_an_error_of_the_system_is_followed_by_what_to_do():
    ends = {
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and "strerror}." in ast.unparse(node)
        and not name.startswith(("batch/", "video/"))
    }
    assert not ends
