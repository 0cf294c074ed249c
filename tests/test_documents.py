"""What the documents say: commands and code run, links lead somewhere."""

import ast
import configparser
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import test_laws
import toys

from nst_tf import files
from nst_tf.batch import command_line
from nst_tf.cli import (
    completion,
    entry,
    flag_values,
    flags,
    judge_command,
    programs,
    usage,
)
from nst_tf.images import image_io
from nst_tf.losses import objectives
from nst_tf.tiling import tiled, views
from nst_tf.video import command_line as film_line
from nst_tf.web import command as web_command

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part == "build"  # of a wheel
        for part in path.relative_to(ROOT).parts
    )
)
GUIDES = sorted((ROOT / "docs").glob("*.md"))
# Whose commands and code are run, with the pictures that they speak of.
RUN = [ROOT / "README.md", *GUIDES]


def _name(path):
    return str(path.relative_to(ROOT))


def _each(paths):
    return pytest.mark.parametrize("path", paths, ids=_name)


def _anchors(path):
    """The anchors of a document: its own, and its headings', as on GitHub."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    found = re.findall(r'<a id="([\w-]+)"></a>', text)
    for heading in re.findall(r"^#+ +(.*?) *$", text, re.M):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = found.count(words)
        found.append(f"{words}-{again}" if again else words)
    return found


@_each(DOCUMENTS)
def test_relative_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        place = path.parent / target if target else path
        assert place.exists(), link
        if anchor:
            assert anchor in _anchors(place), link


def test_anchors_are_named_as_github_does(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(
        "# A `--flag`, and more\n\n```\n# none\n```\n## On\n## On\n"
    )
    assert _anchors(path) == ["a---flag-and-more", "on", "on-1"]


def test_every_guide_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    for path in GUIDES:
        assert path.name == "README.md" or f"({path.name})" in index, path.name
    assert "(docs/README.md)" in (ROOT / "README.md").read_text()


def test_the_readme_has_two_screens():
    assert len((ROOT / "README.md").read_text().split()) <= 900


def _commands(text):
    """Indented lines of a document that run the program."""
    program = r"^    (?:nst-tf|python -m nst_tf(?:\.run)?) (.*)$"
    found = re.findall(program, text, re.M)
    found = [line.partition(" | ")[0].partition(" > ")[0] for line in found]
    return [shlex.split(line, comments=True) for line in found]


def _judgements(text):
    """Indented lines of a document that run the judge."""
    found = re.findall(r"^    (python -m nst_tf\.judge .*)$", text, re.M)
    return [shlex.split(line, comments=True)[3:] for line in found]


def _batches(text):
    """Indented lines of a document that paint a batch."""
    text = re.sub(r"\$\w+", "1", text.replace("\\\n", " "))
    found = re.findall(r"^    nst-tf-batch (.*)$", text, re.M)
    return [shlex.split(line) for line in found]


def _films(text):
    """Indented lines of a document that paint a film."""
    found = re.findall(r"^    nst-tf-video (.*)$", text, re.M)
    return [shlex.split(line) for line in found]


def _blocks(text):
    """The Python code of a document."""
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


@_each(DOCUMENTS)
def test_documented_commands_are_understood(path):
    for arguments in _commands(path.read_text()):
        if "--describe=town.png" not in arguments:
            flags.parse(arguments)
    for arguments in _judgements(path.read_text()):
        judge_command.parse(arguments)
    for arguments in _batches(path.read_text()):
        if "--engine=ray" not in arguments or files.is_installed("ray"):
            command_line.read(arguments)
    for arguments in _films(path.read_text()):
        film_line.read(arguments)


@_each(
    [
        path
        for path in RUN
        if path.name not in ("judging.md", "flags_programs.md", "web.md")
    ]
)
def test_flags_within_sentences_are_understood(path):
    example = re.compile("[A-Z]{4}|--(name|describe|completion|flagfile=again)")
    for span in re.findall(r"`(--\w+=[^`\n]+)`", path.read_text()):
        if not example.search(span):
            if path.name == "batches.md":
                command_line.read(shlex.split(span))
            elif path.name == "video.md":
                film_line.read(["clip.mp4", *shlex.split(span)])
            else:
                flags.parse(["town.jpg", *shlex.split(span)])


@_each([*RUN, ROOT / "configs" / "README.md"])
def test_flags_in_documents_exist(path):
    # Other programs of the project have flags of their own.
    text = re.sub(
        r"`([A-Z_]+=[^`]*)?(python scripts/|ray |tensorboard |docker )[^`]*`"
        r"|^    (srun|#SBATCH|docker).*$",
        "",
        path.read_text(),
        flags=re.M,
    )
    others = ""
    for program in (
        *(judge_command.PROGRAM, command_line.PROGRAM, web_command.PROGRAM),
        film_line.PROGRAM,
    ):
        others += programs.format_usage(program).replace("[no]", "")
    for flag in re.findall(r"(?<![\w-])--([a-z][\w-]*)", text):
        if flag in ("help", "version", "describe", "completion", "name"):
            continue
        if f"--{flag}" not in others:
            flag_values.find_name(f"--{flag}")


@pytest.fixture
def _pictures(tmp_path, monkeypatch):
    """The pictures that the documents speak of, in the working directory."""
    monkeypatch.chdir(tmp_path)
    images = ROOT / "configs" / "images"
    for name, source in (
        ("town.jpg", "harbor_at_dusk.jpg"),
        ("painting.jpg", "swirling_night.jpg"),
        ("other.jpg", "ink_wash.jpg"),
    ):
        shutil.copy(images / source, tmp_path / name)
    mask = np.zeros((*image_io.load_image("town.jpg").shape[:2], 3), "f4")
    mask[: len(mask) // 2] = 1
    image_io.save_image("sky.png", mask)


def _small(arguments):
    """What makes of a documented command one of a small picture."""
    if {"--describe=town.png", "--rerun=town.png"} & {*arguments}:
        return []
    given = {each.partition("=")[0] for each in arguments}
    size = "--size=144" if "--continue_from" in given else "--size=96"
    if "--print_size" in given:
        size = "--dpi=6"
    return [size, "--sheet_size=48", "--steps=3"]


def _to_run(path):
    """The commands of a document that none before it has run alike."""
    said = [
        arguments
        for earlier in RUN[: RUN.index(path)]
        for arguments in _commands(earlier.read_text())
    ]
    return [
        arguments
        for arguments in _commands(path.read_text())
        if arguments not in said or not _small(arguments)
    ]


@pytest.mark.slow
@_each([path for path in RUN if _to_run(path)])
def test_documented_commands_paint(_pictures, capsysbinary, path, request):
    if path.parent != ROOT:  # those of guides without a network, all the same
        request.getfixturevalue("painter")
    for arguments in _to_run(path):
        assert entry.main([*arguments, *_small(arguments)]) == 0, arguments
        words = "PNG" if "-" in arguments else "."  # of a path
        if "--dry_run" in arguments:
            words = "time"
        elif "--describe=town.png" in arguments:
            words = "--content=town.jpg"
        assert words.encode() in capsysbinary.readouterr().out


@pytest.mark.slow
@_each([path for path in RUN if _judgements(path.read_text())])
def test_documented_commands_judge(_pictures, capsys, path):
    for arguments in _judgements(path.read_text()):
        for name in judge_command.parse(arguments).pictures:
            image_io.save_image(name, image_io.load_image("town.jpg"))
        assert judge_command.main([*arguments, "--size=96"]) == 0, arguments
        assert "result.png" in capsys.readouterr().out


def _run_code(path):
    """Runs the code of a document, small: what it leaves behind."""
    names = {"__name__": "__document__"}
    for code in _blocks(path.read_text()):
        small = re.sub(r"\bsize=\d+", "size=96, steps=3", code)
        exec(compile(small, _name(path), "exec"), names)
    return names


@pytest.mark.slow
@_each([path for path in RUN if _blocks(path.read_text())])
def test_documented_python_runs(_pictures, capsys, path):
    _run_code(path)
    if path.name == "README.md":
        assert image_io.load_image("result.png").shape == (72, 96, 3)
    if path.name == "watching.md":
        assert capsys.readouterr().out.startswith("0 1 ")


@_each(sorted((ROOT / "nst_tf").glob("*/__init__.py")))
def test_the_example_of_a_room_runs(_pictures, path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    lines = text.replace("\\\n", "")  # a command, in one line
    code = "\n".join(re.findall(r"^    ((?!python ).*)$", lines, re.M))
    assert code or path.parent.name in ("cli", "video", "web")
    small = re.sub(r"\bsize=\d+", "size=96, steps=3", code)
    exec(compile(small, _name(path), "exec"), {})


def _said():
    """What the package can say: its texts, each value as *."""
    texts = []
    for path in (ROOT / "nst_tf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else "*"
                    for part in node.values
                ]
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and type(node.value) is str:
                texts.append(node.value)
    return "\n".join(_starred(text) for text in texts)


def _starred(text):
    return re.sub(r"(vgg)?\d+(\.\d+)?", "*", text)


def test_messages_in_troubleshooting_are_said():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    quoted = [
        each
        for each in re.findall(r"`([^`\n]+)`", text)
        if len(each.split()) > 2
        and not each.startswith(("pip ", "--", "nst-tf ", "docker "))
    ]
    assert len(quoted) > 6
    said = _said()
    for message in quoted:
        for part in message.split("..."):
            assert _starred(part) in said, message


def _page_of_losses():
    path = ROOT / "docs" / "adding_a_loss.md"
    names = {}
    exec(compile(_blocks(path.read_text())[0], path.name, "exec"), names)
    return names["MeanColorLoss"]


def _mean_color_at_its_target():
    color = (0.6, 0.5, 0.3)
    flat = tf.fill((1, *test_laws.SIZE, 3), tf.constant(1.0, tf.float64))
    return _page_of_losses()(color), flat * tf.constant(color, tf.float64)


@pytest.mark.parametrize(
    "law",
    [
        test_laws.test_statistics_of_parts_add_up_to_the_whole,
        test_laws.test_distance_is_zero_at_the_target_and_never_negative,
        test_laws.test_scaling_a_mask_changes_nothing,
        test_laws.test_positions_beyond_the_reach_of_the_mask_do_not_count,
    ],
)
def test_the_documented_loss_obeys_the_laws(law):
    law(_mean_color_at_its_target)


def test_the_documented_loss_has_a_finite_gradient():
    test_laws.test_gradient_on_a_constant_image_is_finite(
        _mean_color_at_its_target, 0.5
    )


def test_the_documented_loss_is_that_of_the_whole_in_tiles(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64")
    content = toys.image(19, 27, 1, "float64")
    loss_list = toys.style_and_content(
        network, content, toys.image(10, 15, 2, "float64")
    )
    region = toys.mask(19, 27)
    loss_list.append(_page_of_losses()((0.6, 0.5, 0.3), 1000.0, region))
    image = tf.constant(toys.image(19, 27, 3, "float64")[None])
    cut = views.cut_for_extractor(network, 19, 27, 16)
    assert cut.number > 1
    whole = objectives.make_objective(network, loss_list)(image)
    in_tiles = toys.compiled(
        tiled.make_tiled_objective(network, loss_list, cut)
    )(image)
    assert float(whole.terms["mean_color"]) > 0
    np.testing.assert_allclose(in_tiles.loss, whole.loss, rtol=1e-12)
    largest = np.abs(whole.gradient).max()
    np.testing.assert_allclose(
        in_tiles.gradient, whole.gradient, rtol=0, atol=1e-12 * largest
    )


@pytest.mark.slow
def test_the_documented_loss_has_an_effect(_pictures):
    names = _run_code(ROOT / "docs" / "adding_a_loss.md")
    goal = names["GOLD"]
    plain, golden = (
        np.linalg.norm(names[name].mean(axis=(0, 1)) - goal)
        for name in ("plain", "golden")
    )
    # In three steps of 0.02 the mean can move by 0.06 a channel.
    assert golden < 0.9 * plain


def test_the_reference_is_what_the_package_says(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import flags_reference

    for name, write in flags_reference.PAGES.items():
        committed = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert write() == committed, "run: python scripts/flags_reference.py"


def test_each_flag_and_preset_has_an_anchor_in_the_reference(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import flags_reference

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    scripts = config["options.entry_points"]["console_scripts"]
    names = re.findall(r"^([\w-]+) =", scripts, re.M)
    assert names == ["nst-tf", *flags_reference.PROGRAMS]
    pages = [ROOT / "docs" / name for name in flags_reference.PAGES]
    anchors = [anchor for page in pages for anchor in _anchors(page)]
    assert len(anchors) == len(set(anchors))
    usages = {"": usage.format_usage()}
    for program, path in flags_reference.PROGRAMS.items():
        module = importlib.import_module(f"nst_tf.{path}")
        text = programs.format_usage(module.PROGRAM)
        usages[program[len("nst-tf-") :] + "-"] = text
    for prefix, text in usages.items():
        found = re.findall(r"^  (?:-\w, )?--(?:\[no\])?(\w+)", text, re.M)
        assert len(found) > 5
        for name in found:
            assert f"{prefix}{name}" in anchors
    for name in files.list_presets():
        assert f"preset-{name}" in anchors
    for name in re.findall(r" -l (\S+)", completion.write("fish")):
        assert name.replace("-", "_") in anchors


@pytest.mark.slow
def test_demo_in_a_fresh_clone_ends_with_a_picture(tmp_path):
    # The environment is given, so that TensorFlow is not downloaded again;
    # .ci/run itself runs scripts/test, which makes one.
    clone, environment = tmp_path / "clone", tmp_path / "environment"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    venv.create(environment, with_pip=False)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(
        f"{clone}\n{sysconfig.get_path('purelib')}\n"
    )
    shutil.copy(clone / "setup.cfg", environment / "installed-core")
    result = subprocess.run(
        [clone / "scripts" / "demo", "--size=96", "--steps=3"],
        cwd=tmp_path,
        env={
            **os.environ,
            "NST_TF_VENV": str(environment),
            "PYTHON": sys.executable,
            "PYTHONPATH": "",  # it imports the clone
        },
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "-> harbor_at_dusk-swirling_night.png" in result.stderr
    picture = tmp_path / "harbor_at_dusk-swirling_night.png"
    assert image_io.load_image(picture).shape == (72, 96, 3)
