"""What the documents say: commands run, links lead somewhere."""

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

from nst_tf import flagdefs, image_io, run

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.name))
def test_relative_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


def _commands(text):
    """Indented lines of a document that run the program."""
    found = re.findall(r"^    (python -m nst_tf\.run .*)$", text, re.M)
    return [shlex.split(line, comments=True)[3:] for line in found]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.name))
def test_documented_commands_are_understood(path):
    for arguments in _commands(path.read_text()):
        if "--describe=town.png" not in arguments:
            flagdefs.parse(arguments)


def test_flags_in_documents_exist():
    flags = set(re.findall(r"`--(\w+)", (ROOT / "README.md").read_text()))
    assert len(flags) > 8
    for flag in flags:
        assert f"--{flag}" in flagdefs.usage().replace("[no]", ""), flag


@pytest.fixture
def _pictures(tmp_path, monkeypatch):
    """The pictures that the README speaks of, in the working directory."""
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


@pytest.mark.slow
def test_readmes_commands_paint(_pictures, capsys):
    for arguments in _commands((ROOT / "README.md").read_text()):
        records = {"--describe=town.png", "--rerun=town.png"} & {*arguments}
        printed = any(each.startswith("--print_size") for each in arguments)
        size = "--dpi=6" if printed else "--size=96"
        small = [] if records else [size, "--steps=3"]
        assert run.main([*arguments, *small]) == 0
        words = "done"
        if "--dry_run" in arguments:
            words = "time"
        elif "--describe" in str(records):
            words = "--content=town.jpg"
        assert words in capsys.readouterr().out


@pytest.mark.slow
def test_readmes_python_runs(_pictures, capsys):
    code = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    small = re.sub(r"size=\d+", "size=96, steps=3", "\n".join(code))
    assert small.count("steps=3") == 4
    with pytest.warns(UserWarning, match="the small network that ships"):
        exec(small, {})
    assert image_io.load_image("result.png").shape == (72, 96, 3)
    assert capsys.readouterr().out.startswith("0 1 ")


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
        },
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "picture   harbor_at_dusk-swirling_night.png" in result.stdout
    picture = tmp_path / "harbor_at_dusk-swirling_night.png"
    assert image_io.load_image(picture).shape == (72, 96, 3)
