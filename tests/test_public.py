"""The public names at both heights: pinned, typed, completed by editors."""

import ast
import inspect
import json
import logging
import operator
import pydoc
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import children
import numpy as np
import pytest

import nst_tf
from nst_tf import errors, run
from nst_tf.images import painting
from nst_tf.plan import settings
from nst_tf.runs import api

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = " ".join(
    name
    for name in settings.FIELDS
    if name in settings.KEYWORDS or name == "dpi"  # with a print_size
)
STYLE_LOSS = "layer target weight region projection divisor floor"
# Public name -> its parameters.
NAMES = {
    "Job": " ".join(settings.FIELDS),
    "Painter": "strategy remember",
    "Painter.paint": "self plan start extra_losses stop",
    "example_images": "",
    "judge_image": "image content styles size settings",
    "load_image": "path",
    "losses.AcrossLoss": STYLE_LOSS,
    "losses.ContentLoss": "layer target weight region projection divisor "
    "square",
    "losses.Evaluation": "loss gradient terms",
    "losses.GrainLoss": STYLE_LOSS,
    "losses.GramLoss": STYLE_LOSS,
    "losses.Loss": "args kwargs",  # a protocol
    "losses.MomentsLoss": STYLE_LOSS,
    "losses.NeighborsLoss": STYLE_LOSS,
    "losses.PriorLoss": "name weight region",
    "losses.SlicedWassersteinLoss": STYLE_LOSS,
    "losses.Statistics": "total mass",
    "losses.StyleLoss": STYLE_LOSS,
    "losses.TotalVariationLoss": "weight neighbors divisor region size",
    "losses.WassersteinLoss": STYLE_LOSS,
    "losses.divide_by_mass": "statistics",
    "losses.drop_absent": "maps",
    "losses.gram_matrix": "features mask",
    "losses.make_objective": "extractor loss_list normalized",
    "losses.multiply_masks": "mask region",
    "losses.widen": "values",
    "make_plan": "job read machine",
    "network.Extractor": "model compiled stride reach grid projections cache",
    "network.load_weights": "network source",
    "network.vgg": "network layers network_weights projections pooling "
    "padding dtype convolution",
    "notebook.beside": "pictures side",
    "notebook.show": f"content style every {KEYWORDS}",
    "optimize.Adam": "image learning_rate beta_1 beta_2 epsilon corrected "
    "carry_moments settings",
    "optimize.Lbfgs": "image learning_rate history bounds",
    "optimize.Sgd": "image learning_rate average settings",
    "optimize.Step": "level index evaluation optimizer",
    "run_job": "job callback progress",
    "run_jobs": "jobs engine workers judge results_dir address "
    "gpus_per_job progress",
    "save_image": "path image bit_depth quality dpi alpha",
    "stylize": f"content style callback progress extra_losses {KEYWORDS}",
    "stylize_steps": f"content style extra_losses {KEYWORDS}",
}
FUNCTIONS = ("stylize", "stylize_steps", "notebook.show")
ROOMS = ("losses", "network", "optimize")


def test_public_names_and_their_parameters_are_these():
    assert set(dir(nst_tf)) == {name.partition(".")[0] for name in NAMES}
    for room in ROOMS:
        assert dir(getattr(nst_tf, room)) == [
            name.partition(".")[2] for name in NAMES if name.startswith(room)
        ]
        # mypy and editors read imports, which Python does not run.
        text = Path(getattr(nst_tf, room).__file__).read_text()
        typed = text.partition("if TYPE_CHECKING:")[2].partition("else:")[0]
        for name in dir(getattr(nst_tf, room)):
            assert re.search(rf" as {name}\b| {name} =", typed), name
    for name, expected in NAMES.items():
        thing = operator.attrgetter(name)(nst_tf)
        actual = " ".join(inspect.signature(thing).parameters)
        assert actual == expected, name


@pytest.mark.parametrize("name", [*NAMES, "notebook", *ROOMS])
def test_types_of_public_names_can_be_read(name):
    thing = operator.attrgetter(name)(nst_tf)
    if inspect.ismodule(thing):
        return
    hints = typing.get_type_hints(thing)
    if not inspect.isclass(thing):
        assert {*inspect.signature(thing).parameters} - {"self"} <= {*hints}
        return
    for member in (thing.__init__, *vars(thing).values()):
        if inspect.isfunction(member):
            typing.get_type_hints(member)


def test_types_of_settings_are_those_that_the_signature_has():
    hints = typing.get_type_hints(nst_tf.stylize)
    assert hints["style_fit"] == Literal["keep", "side", "stretch", "crop"]
    assert hints["steps"] == int | Sequence[int]
    assert hints["return"] is painting.Painting


def test_help_is_short_and_lists_each_name_and_setting_once():
    text = pydoc.plain(pydoc.render_doc(nst_tf))
    names, _, listed = text.partition("help(nst_tf.Job) explains each:")
    names = re.sub(r",\n +", ", ", names)
    for name in (*dir(nst_tf), "notebook.show", "notebook.beside"):
        if inspect.ismodule(thing := operator.attrgetter(name)(nst_tf)):
            assert name in names
            continue
        plain = "(**settings)"
        if name != "Job":
            own = inspect.signature(inspect.unwrap(thing)).parameters.values()
            bare = [inspect.Parameter(each.name, each.kind) for each in own]
            plain = str(inspect.Signature(bare))
        assert names.count(f"    {name}{plain}\n") == 1, name
    for name in settings.FIELDS:
        assert len(re.findall(rf"(?<!\w){name}=", listed)) == 1, name
    lines = listed.partition("PACKAGE CONTENTS")[0].strip().splitlines()
    assert len(text.splitlines()) - len(lines) <= 120
    explained = inspect.getdoc(nst_tf.Job)
    for name, field in settings.FIELDS.items():
        assert f"    {name}: {field.metadata['help']}" in explained


def test_tensorflow_is_loaded_in_silence_and_by_the_names_that_need_it():
    code = """
import sys, nst_tf
from nst_tf.backend import device
class Prepared(Exception): pass
def prepare(): raise Prepared
device.prepare, sys.modules["tensorflow"] = prepare, None
for room in (nst_tf, nst_tf.losses, nst_tf.network, nst_tf.optimize):
    for name in dir(room):
        try:
            getattr(room, name)
        except Prepared:
            print(room.__name__, name)
"""
    shown = children.run_python("-c", code, check=True).stdout.splitlines()
    rooms = [f"nst_tf.{each}" for each in ("losses", "optimize")]
    assert [line for line in shown if not line.startswith((*rooms,))] == [
        "nst_tf Painter", "nst_tf.network Extractor", "nst_tf.network vgg"
    ]  # fmt: skip
    assert len(shown) == 3 + len(dir(nst_tf.losses)) + len(dir(nst_tf.optimize))


@pytest.mark.slow
def test_help_prints_nothing_of_tensorflow():
    shown = children.run_python("-c", "import nst_tf; help(nst_tf)")
    assert (shown.returncode, shown.stderr) == (0, "")


def test_a_misspelled_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'nst_tf' has no .* 'stilyze'"):
        _ = nst_tf.stilyze
    with pytest.raises(AttributeError, match=r"'nst_tf.losses' has no"):
        _ = nst_tf.losses.GramLos


def test_example_images_are_pictures_that_can_be_read():
    images = nst_tf.example_images()
    assert [*images] == sorted(images)
    assert {"harbor_at_dusk", "harbor_sky", "swirling_night"} <= {*images}
    for name, path in images.items():
        assert path.stem == name
        assert nst_tf.load_image(path).ndim == 3


@pytest.mark.parametrize("name", FUNCTIONS)
def test_style_may_be_spelled_styles(monkeypatch, name):
    taken = []

    def draft_images(*given):
        taken.append(given)
        raise InterruptedError

    monkeypatch.setattr(api, "draft_images", draft_images)
    function = operator.attrgetter(name)(nst_tf)
    for given, named in (
        (("a.jpg", "b.jpg"), {}),
        (("a.jpg",), {"style": "b.jpg"}),
        (("a.jpg",), {"styles": "b.jpg"}),
        ((), {"content": "a.jpg", "styles": "b.jpg"}),
    ):
        with pytest.raises(InterruptedError):
            function(*given, **named, size=64)
    assert taken == 4 * [("a.jpg", "b.jpg", {"size": 64})]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_style_is_given_once(name):
    function = operator.attrgetter(name)(nst_tf)
    with pytest.raises(TypeError, match="got both style and its old name"):
        function("a.jpg", style="b.jpg", styles="b.jpg")
    with pytest.raises(TypeError, match="got both style and its old name"):
        function("a.jpg", "b.jpg", styles="b.jpg")
    with pytest.raises(TypeError, match="missing 1 .* argument: 'style'"):
        function("a.jpg")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"sise": 3}, TypeError, "has no setting 'sise'; did you mean 'size'?"),
        ({"sizes": 3}, TypeError, "no setting 'sizes'; did you mean 'size'?"),
        ({"qwx": 3}, TypeError, "no setting 'qwx'; help(nst_tf.Job) lists"),
        ({"iterations": 9}, TypeError, "'iterations'; did you mean 'steps'?"),
        ({"output": "a.png"}, TypeError, "output belongs to the command line"),
        ({"dpi": 72}, TypeError, "dpi belongs to the command line"),
        ({"size": "3"}, TypeError, "size is '3' of type str, expected int"),
        ({"size": 0}, ValueError, "size is 0, expected at least 1 and at most"),
        ({"color": "styles"}, ValueError, "'styles'; did you mean 'style'?"),
        ({"style_mask": [np.zeros((9, 9), int)]}, TypeError, "has type int64"),
        ({}, ValueError, "there is no file a.jpg"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named_at_once(name, keywords, error, words):
    function = operator.attrgetter(name)(nst_tf)
    with pytest.raises(error, match=re.escape(words)) as raised:
        function("a.jpg", "b.jpg", **keywords)
    if "no setting" in words:
        assert str(raised.value).startswith(f"{name.rpartition('.')[2]}() has")


@pytest.mark.parametrize(
    ("typed", "chosen", "flags"),
    [
        (["--size=0"], {"size": 0}, {"size"}),
        (["--style_blend=0"], {"style_blend": [0]}, {"style_blend"}),
        (["--precision=float8"], {"precision": "float8"}, set()),
        (["--size=9", "--print_size=A4"], {"size": 9, "print_size": "A4"},
         {"size", "print_size"}),
        (["--resume=require"], {"resume": "require"},
         {"resume", "checkpoint_dir"}),
        (["--weights=small", "--extractor=vgg16"],
         {"weights": "small", "extractor": "vgg16"}, {"weights", "extractor"}),
        (["--continue_from=small.png", "--size=32"],
         {"continue_from": "small.png", "size": 32}, {"continue_from", "size"}),
        (["--convolution=winograd", "--precision=bfloat16"],
         {"convolution": "winograd", "precision": "bfloat16"},
         {"convolution", "precision"}),
    ],
    ids=lambda value: " ".join(sorted(map(str, value))),
)  # fmt: skip
def test_settings_are_named_as_they_were_typed(
    tmp_path, monkeypatch, capsys, typed, chosen, flags
):
    monkeypatch.chdir(tmp_path)
    for path in ("a.png", "b.png", "small.png"):
        nst_tf.save_image(path, np.full((32, 48, 3), 0.5))
    assert run.main(["a.png", "b.png", *typed]) == 1
    error = capsys.readouterr().err
    assert {*re.findall(r"--(\w+)", error)} == flags
    calls = [
        lambda: nst_tf.stylize("a.png", "b.png", **chosen),
        lambda: nst_tf.notebook.show("a.png", "b.png", **chosen),
        lambda: nst_tf.run_job(
            nst_tf.Job(content="a.png", style="b.png", **chosen)
        ),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"\.$") as raised:
            call()
        assert "--" not in str(raised.value)
        assert all(re.search(rf"\b{n}\b", str(raised.value)) for n in flags)


def test_notes_and_late_errors_name_keywords_too(caplog):
    def steps():
        logging.getLogger("nst_tf").warning("use --precision=%s", "auto")
        yield 1
        raise FloatingPointError("try --precision=float32; --x and a--size")

    with caplog.at_level("INFO"), pytest.raises(FloatingPointError) as raised:
        assert [*errors.name_keywords_in(steps())] == [1]
    assert caplog.messages == ["use precision=auto"]
    assert str(raised.value) == "try precision=float32; --x and a--size"
    logging.getLogger("nst_tf").warning("--size")
    assert caplog.messages[1:] == ["--size"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f, i: f.run_job("a.jpg"), "job is 'a.jpg' of type str"),
        (lambda f, i: f.make_plan({}), "job is {} of type dict, expected an n"),
        (lambda f, i: f.run_job(f.Job(), progress="json"), "progress is 'js"),
        (lambda f, i: f.run_job(f.Job(), callback=3), "callback is 3 of type"),
        (lambda f, i: f.stylize(None, i), "content image is None of type None"),
        (lambda f, i: f.stylize(i, i, callback="x"), "callback is 'x' of type"),
        (lambda f, i: f.stylize(i, i, progress="no"), "expected True or False"),
        (lambda f, i: f.stylize_steps(i, i, extra_losses=[]), "extra_losses"),
        (lambda f, i: f.notebook.show(i, i, every="a"), "every is 'a' of type"),
        (lambda f, i: f.notebook.beside([i]), "pictures is [array(["),
        (lambda f, i: f.judge_image(i, i, 3), "style image is 3 of type int"),
        (lambda f, i: f.load_image(None), "path is None of type NoneType"),
        (lambda f, i: f.save_image(i, "a.png"), "expected a path"),
        (lambda f, i: f.save_image("a.jpg", i, quality="x"), "quality is 'x'"),
        (lambda f, i: f.save_image("a.jpg", i, dpi="x"), "dpi is 'x' of type"),
        (lambda f, i: painting.make_painting(i).save(3), "path is 3 of type"),
    ],
)  # fmt: skip
def test_wrong_types_get_a_sentence(call, words):
    image = np.full((32, 32, 3), 0.5, np.float32)
    with pytest.raises(TypeError, match=re.escape(words)) as raised:
        call(nst_tf, image)
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_for_the_program_is_said_of_the_function_called(name):
    function = operator.attrgetter(name)(nst_tf)
    called = name.rpartition(".")[2]
    with pytest.raises(TypeError, match=rf"quiet belongs .* not to {called};"):
        function("a.jpg", "b.jpg", quiet=True)
    if called != "stylize":
        with pytest.raises(TypeError, match=rf"progress .* not to {called};"):
            function("a.jpg", "b.jpg", progress=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sise", "Job() has no setting 'sise'; did you mean 'size'?"),
        ("qwx", "Job() has no setting 'qwx'; help(nst_tf.Job) lists them."),
    ],
)
def test_a_misspelled_field_of_a_job_gets_a_suggestion(name, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        nst_tf.Job(**{name: 3})


def test_stub_and_help_are_what_the_table_of_settings_says(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import write_stub

    for path, make in (
        (write_stub.PATH, write_stub.make_stub),
        (write_stub.PACKAGE, write_stub.make_package),
    ):
        assert make() == path.read_text(encoding="utf-8"), (
            "run: python scripts/write_stub.py"
        )


PROGRAM = """\
import dataclasses

import numpy as np

import nst_tf
from nst_tf import losses, network, optimize

mask = np.zeros((3, 4))
town = nst_tf.example_images()["harbor_at_dusk"]
image = nst_tf.stylize(town, ["a.jpg", mask], size=512, keep_mask=mask)
image = nst_tf.stylize(town, style=image, steps=50, style_scale=(1.0, 2.0))
for step in nst_tf.stylize_steps(town, "a.jpg", checkpoint_dir=town.parent):
    evaluation: losses.Evaluation = step.evaluation
job = nst_tf.Job(content="town.jpg", style="a.jpg", steps=100)
job = nst_tf.Job(color=["content", "style"], content_mask="mask.png")
path = nst_tf.run_job(dataclasses.replace(job, size=256)).path
weights = network.load_weights("vgg19").layers
extractor = network.vgg("vgg19", ["block1_conv1"], weights)
gram = losses.gram_matrix(extractor.extract(image)["block1_conv1"])
loss: losses.Loss = losses.GramLoss("block1_conv1", gram)
optimizer = optimize.Adam
picture = nst_tf.notebook.show(town, "a.jpg", every=5)
print(nst_tf.__version__, nst_tf.notebook.beside({"picture": picture}))
"""
MISTAKES = """\
nst_tf.stylize(town, "a.jpg", sise=512)
nst_tf.stylize(town, "a.jpg", size="512")
nst_tf.stylize(town)
nst_tf.stylize(town, "a.jpg", style_loss="grm")
nst_tf.Job(color="styles")
nst_tf.Job(color=["styles"])
nst_tf.Job(contnet="town.jpg")
nst_tf.stilyze(town, "a.jpg")
losses.GramLos
"""


@pytest.mark.slow
def test_mypy_takes_what_is_documented_and_rejects_what_is_misspelled(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM + MISTAKES)
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        (tmp_path / f"{path.stem}_page.py").write_text(_code(path))
    files = [each.name for each in tmp_path.iterdir()]
    result = children.run_python(
        *("-m", "mypy", "--strict", *files),
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
    )
    first = PROGRAM.count("\n") + 1
    assert not re.findall(r"^\w+_page\.py.*$", result.stdout, re.M)
    errors = re.findall(r"^program.py:(\d+): error: (.*)$", result.stdout, re.M)
    assert [int(line) for line, _ in errors] == [*range(first, first + 9)]
    words = ("keyword argument \"sise\"", '"size"', "missing", "'gram'",
             "'histogram'", "list item 0", '"contnet"', "stilyze",
             "GramLos")  # fmt: skip
    for word, (_, message) in zip(words, errors, strict=True):
        assert word.lower() in message.lower()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("nst_tf.sty", {"stylize", "stylize_steps"}),
        ("nst_tf.stylize(si", {"size="}),
        ("nst_tf.stylize(content, style, call", {"callback="}),
        ("nst_tf.stylize_steps(content, style, sty", {"style_weight="}),
        ("nst_tf.Job(si", {"size="}),
        (
            "for step in nst_tf.stylize_steps(a, b):\n    step.",
            {"level", "index", "evaluation", "image", "size"},
        ),
        ("image = nst_tf.stylize(a, b)\nimage.sa", {"save"}),
        ("nst_tf.stylize(a, b).sha", {"shape"}),
        ("nst_tf.exam", {"example_images"}),
        ("nst_tf.losses.Gra", {"GramLoss"}),
    ],
)
def test_editors_complete_settings_and_names(code, expected):
    import jedi

    project = jedi.Project(ROOT / "tests", added_sys_path=[str(ROOT)])
    script = jedi.Script(f"import nst_tf\n{code}", project=project)
    assert expected <= {each.name for each in script.complete()}


def test_editors_show_the_choices_of_a_setting():
    import jedi

    project = jedi.Project(ROOT / "tests", added_sys_path=[str(ROOT)])
    for call, setting, choice in (
        ("stylize(a, b, ", "style_loss", '"gram"'),
        ("stylize_steps(a, b, ", "style_fit", '"crop"'),
        ("Job(", "color", '"histogram"'),
    ):
        code = f"import nst_tf\nnst_tf.{call}{setting}="
        (signature,) = jedi.Script(code, project=project).get_signatures()
        shown = signature.params[signature.index]
        assert shown.name == setting
        assert choice in shown.description


def _code(path):
    """The code of a document or a notebook, in one text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return "\n".join(
            re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
        )
    cells = json.loads(text)["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    return re.sub(r"^(\s*)%.*$", r"\1pass", "\n".join(code), flags=re.M)


def _used(code):
    """The names of nst_tf that code imports, or reads from the package."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            package, _, room = node.module.partition(".")
            names = [f"{room}.{each.name}".strip(".") for each in node.names]
            yield from names if package == "nst_tf" else []
        elif isinstance(node, ast.Attribute):
            name = re.fullmatch(r"nst_tf\.(\w+(\.\w+)?)", ast.unparse(node))
            yield from [name[1]] if name else []


def test_documents_and_notebooks_use_public_names_only():
    found = {}
    public = {*NAMES, *dir(nst_tf)}
    for path in (
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "notebooks").glob("*.ipynb"),
    ):
        others = {*_used(_code(path))} - public
        if others:
            found[str(path.relative_to(ROOT))] = others
    assert not found
