"""Installs: from the tree, from git, editable; presets travel along.

`--no-deps`, into an environment that sees the TensorFlow of this one.
"""

import configparser
import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


def _run(*command, cwd, check=True):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH"
    }
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert not check or result.returncode == 0, result.stderr
    return result


@pytest.fixture
def environment(tmp_path):
    """An environment that sees this one's packages, but not nst_tf: bin/."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    # Only what is a folder or a module there: an editable nst_tf is a finder.
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def _install(environment, *arguments, cwd):
    _run(
        sys.executable, "-m", "pip", "--python", environment / "python",
        "install", "--quiet", "--no-deps", "--force-reinstall", *arguments,
        cwd=cwd,
    )  # fmt: skip


def _check_presets(environment, tmp_path):
    """Presets and their pictures are found from an empty folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    code = (
        "import os, nst_tf; from nst_tf import files\n"
        "from nst_tf.cli import flags\n"
        "for path in sorted(files.presets_folder().glob('*.cfg')):\n"
        "    for name in (path.stem, path.name, f'configs/{path.name}'):\n"
        "        job = flags.parse([f'--flagfile={name}'])\n"
        "        for picture in (job.content, *job.style):\n"
        "            assert os.path.isfile(picture), picture\n"
        "    print(path.stem, path)\n"
        "from nst_tf.network import weight_files\n"
        "weight_files.load('vgg19', 'small')\n"
        "print(nst_tf.__file__)\n"
    )
    result = _run(environment / "python", "-c", code, cwd=folder)
    assert "starry" in result.stdout
    program = environment / "nst-tf"
    help_text = _run(program, "--help", cwd=folder).stdout
    assert "--style_layers=" in help_text
    module = _run(environment / "python", "-m", "nst_tf", "--help", cwd=folder)
    assert module.stdout == help_text
    wrong = _run(
        program, "--flagfile=starry", "--size=0", cwd=folder, check=False
    )
    assert wrong.returncode == 1
    assert wrong.stderr == (
        "nst-tf: --size is 0, expected at least 1 and at most 65536.\n"
    )
    return result.stdout


def test_pip_install_from_the_tree(environment, tmp_path):
    _install(environment, ".", cwd=ROOT)
    paths = _check_presets(environment, tmp_path)
    assert str(ROOT) not in paths


def test_pip_install_from_git(environment, tmp_path):
    _install(environment, f"git+file://{ROOT}", cwd=tmp_path)
    assert str(ROOT) not in _check_presets(environment, tmp_path)


def test_pip_install_editable(environment, tmp_path):
    clone = tmp_path / "clone"
    _run("git", "clone", "--quiet", ROOT, clone, cwd=tmp_path)
    _install(environment, "--editable", ".", cwd=clone)
    assert str(clone / "nst_tf") in _check_presets(environment, tmp_path)


def _digest_members(wheel):
    """The checksums of a wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return {each.filename: each.CRC for each in archive.infolist()}


def test_wheel_and_source_archive_are_complete(tmp_path):
    _run(
        sys.executable, "-m", "build", "--outdir", tmp_path / "dist", ROOT,
        cwd=tmp_path,
    )  # fmt: skip
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.stat().st_size < 29e6  # 26 of them networks
    names = {
        name
        for name in zipfile.ZipFile(wheel).namelist()
        if ".dist-info/" not in name
    }
    committed = _run("git", "ls-files", "nst_tf", "configs", cwd=ROOT).stdout
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    shown = setup["options.package_data"]["nst_tf.configs"].split()
    expected = {
        name.replace("configs/", "nst_tf/configs/", 1)
        if name.startswith("configs/")
        else name
        for name in committed.splitlines()
        if not name.startswith("configs/gallery/")
        or name.removeprefix("configs/") in shown
        if name != "configs/README.md"
    }
    assert names == expected
    assert {"nst_tf/__init__.pyi", "nst_tf/py.typed"} <= names
    licenses = {
        name.rpartition("licenses/")[2] for name in _digest_members(wheel)
    }
    for name in ("LICENSE", "nst_tf/data/LICENSE-CC-BY-4.0.txt"):
        assert name in licenses
    # The wheel above was built from the archive; this one is from the tree.
    _run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
        "--wheel-dir", tmp_path / "direct", ROOT,
        cwd=tmp_path,
    )  # fmt: skip
    (direct,) = (tmp_path / "direct").glob("*.whl")
    assert _digest_members(direct) == _digest_members(wheel)
    if importlib.util.find_spec("twine"):
        files = (tmp_path / "dist").iterdir()
        _run(
            sys.executable, "-m", "twine", "check", "--strict", *files,
            cwd=tmp_path,
        )  # fmt: skip
    (archive,) = (tmp_path / "dist").glob("*.tar.gz")
    listing = _run("tar", "tzf", archive, cwd=tmp_path).stdout
    for name in (
        "scripts/demo",
        "tests/toys.py",
        "configs/starry.cfg",
        "nst_tf/data/vgg19_small.npz",
    ):
        assert f"/{name}\n" in listing
