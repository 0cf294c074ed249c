"""The notebooks: thin, with small outputs, from one place, and run."""

import ast
import base64
import importlib.util
import io
import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BY_NAME = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)

LARGEST_NOTEBOOK = 400_000  # bytes, with outputs
LONGEST_CELL = 24  # lines of code
MOST_LINES = 150  # of code in a notebook

# What the forms say in a test: small pictures, by the network that ships.
SMALL = {
    "SIZE": 96,
    "SMALL": 64,
    "LOOK": 48,
    "PREVIEW": 64,
    "DPI": 18,
    "EVERY": 2,
    "WEIGHTS": "small",
}


def _scripts_notebooks():
    """scripts/notebooks.py, which writes badges and install cells."""
    path = ROOT / "scripts" / "notebooks.py"
    spec = importlib.util.spec_from_file_location("scripts_notebooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _code(path):
    """The code cells of a notebook: id and text."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {
        cell["id"]: "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code"
    }


def _plain(text):
    """A cell's text without IPython's commands."""
    return re.sub(r"^(\s*)%.*$", r"\1pass", text, flags=re.M)


def _parameters(path):
    """The lines of a notebook's forms: name, value, and what they say."""
    return [
        (match[1], ast.literal_eval(match[2]), match[3])
        for text in _code(path).values()
        for match in re.finditer(r"^(\w+) = (.+?)  # @param (.+)$", text, re.M)
    ]


def test_all_four_are_there():
    assert [path.stem for path in NOTEBOOKS] == [
        "control",
        "layers",
        "print",
        "starry",
    ]


@BY_NAME
def test_notebooks_are_valid(path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.accelerator == "GPU"
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


# No path, duration or warning; what is "x" or "of" a picture is no path.
NOT_STORED = re.compile(r"/\w+/|[A-Z]:\\\\|\d (s|min|h)\b|[Ww]arn|Error")


@BY_NAME
def test_stored_outputs_are_small_and_those_of_any_machine(path):
    script, pictures = _scripts_notebooks(), 0
    assert path.stat().st_size < LARGEST_NOTEBOOK
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert cell.get("execution_count") is None
        assert not cell.get("attachments")
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error"
            assert output.get("name", "stdout") == "stdout"
            assert script.shrunk(output).keys() == output.keys()
            data = dict(output.get("data", {}))
            picture = base64.b64decode(data.pop("image/jpeg", ""))
            text = json.dumps({**output, "data": data})
            assert len(text) < 300 and not NOT_STORED.search(text)
            if picture:
                pictures += 1
                assert len(picture) <= script.LARGEST_PICTURE
                size = Image.open(io.BytesIO(picture)).size
                assert max(size) <= script.LONGEST
    # If this fails: python scripts/notebooks.py --run
    assert pictures >= 5


def test_an_output_is_stored_as_a_small_jpeg_without_its_duration():
    file, script = io.BytesIO(), _scripts_notebooks()
    Image.effect_noise((900, 600), 90).save(file, "PNG")
    picture = base64.b64encode(file.getvalue()).decode()
    numbers = "array([[0.1, 0.2]])"
    kept = script.shrunk(
        {
            "output_type": "execute_result",
            "execution_count": 7,
            "metadata": {},
            "data": {"image/png": picture, "text/plain": numbers},
        }
    )
    data = base64.b64decode(kept["data"].pop("image/jpeg"))
    assert kept["data"] == {"text/plain": ["a picture"]}
    assert kept["execution_count"] is None
    assert len(data) <= script.LARGEST_PICTURE
    assert Image.open(io.BytesIO(data)).size == (640, 427)
    line = {"text/plain": "64 x 48, loss 1.5, after 12 s"}
    kept = script.shrunk({"output_type": "display_data", "data": line})
    assert kept["data"] == {"text/plain": ["64 x 48, loss 1.5"]}


@BY_NAME
def test_notebooks_have_no_logic_of_their_own(path):
    cells = _code(path)
    assert sum(text.count("\n") + 1 for text in cells.values()) < MOST_LINES
    for name, text in cells.items():
        assert text.count("\n") < LONGEST_CELL, name
        for node in ast.walk(ast.parse(_plain(text))):
            assert not isinstance(
                node, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.While
            ), name


@BY_NAME
def test_badge_and_install_cell_are_those_of_the_address(path):
    script = _scripts_notebooks()
    text = path.read_text(encoding="utf-8")
    renewed = script.renewed(json.loads(text), path.name, script.address())
    # If this fails: python scripts/notebooks.py
    assert script.dumps(renewed) == text


def test_an_address_gives_a_badge_and_an_install_cell_without_a_form():
    script = _scripts_notebooks()
    url = "https://github.com/somebody/nst_tf"
    assert script.badge("starry.ipynb", url) == (
        "[![Open In Colab](https://colab.research.google.com/assets/"
        "colab-badge.svg)](https://colab.research.google.com/github/somebody/"
        "nst_tf/blob/main/notebooks/starry.ipynb)"
    )
    assert f'%pip install --quiet "nst-tf @ git+{url}"' in script.install(url)
    assert "@param" not in script.install(url)


def test_without_an_address_there_is_a_form_and_no_link():
    script = _scripts_notebooks()
    assert "](" not in script.badge("starry.ipynb", "")
    assert 'ADDRESS = ""  # @param {type:"string"}' in script.install("")
    assert "git+{ADDRESS}" in script.install("")


@pytest.mark.parametrize("url", ["", "https://github.com/somebody/nst_tf"])
def test_colabs_tensorflow_is_never_replaced(url):
    text = _scripts_notebooks().install(url)
    assert 'if not importlib.util.find_spec("nst_tf"):' in text
    assert text.count("pip install") == 1
    for word in ("==", "gpu", "tensorflow", "--upgrade", "--force", " -U"):
        assert word not in text


@BY_NAME
def test_packages_are_installed_in_one_cell_only(path):
    cells = [name for name, text in _code(path).items() if "pip" in text]
    assert cells == ["install"]


@BY_NAME
def test_forms_are_well_formed(path):
    found = _parameters(path)
    lines = sum(text.count("@param") for text in _code(path).values())
    assert len(found) == lines > 3
    for name, value, form in found:
        assert name.isupper()
        choices = re.fullmatch(r"\[.*\]", form)
        if choices:
            assert value in json.loads(form), name
            continue
        # Colab reads keys without quotation marks; JSON does not.
        rules = json.loads(re.sub(r"(\w+):", r'"\1":', form))
        kind = rules.pop("type")
        if kind == "slider":
            assert rules.pop("min") <= value <= rules.pop("max"), name
            assert rules.pop("step") > 0
        types = {"string": str, "boolean": bool, "integer": int}
        types.update(slider=(int, float), number=(int, float), raw=tuple)
        assert isinstance(value, types[kind]), name
        assert not rules


@BY_NAME
def test_every_parameter_is_used(path):
    text = "\n".join(_code(path).values())
    for name, _, _ in _parameters(path):
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


@BY_NAME
def test_notebooks_that_are_named_are_there(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`(\w+\.ipynb)`", text):
        assert (path.parent / name).is_file()


@pytest.mark.slow
@BY_NAME
def test_notebooks_run_to_the_end(path, monkeypatch):
    pytest.importorskip("nbclient")
    Path(os.environ["HOME"]).mkdir()
    # With it a kernel leaves alone what libraries of C write to stderr.
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    steps = 4 if path.stem == "layers" else (4,)  # one number for each level
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook = _scripts_notebooks().run(notebook, {**SMALL, "STEPS": steps})
    outputs = [
        each for cell in notebook["cells"] for each in cell.get("outputs", [])
    ]
    assert "stderr" not in [each.get("name") for each in outputs]
    assert "is in the working directory" in "".join(outputs[-1]["text"])
    assert sum("image/jpeg" in each.get("data", {}) for each in outputs) >= 4
