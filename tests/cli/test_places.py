"""The program where it runs: users without a home, read-only file systems."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

import nst_tf
from nst_tf import files

ROOT = Path(nst_tf.__file__).parent.parent
USER = 12345  # has no entry in the list of users
IMAGES = files.presets_folder() / "images"
JOB = [
    f"--content={IMAGES / 'harbor_at_dusk.jpg'}",
    f"--style={IMAGES / 'swirling_night.jpg'}",
    *("--weights=small", "--size=48", "--min_size=48", "--steps=3"),
]
WRITES = [
    *("--output=out.jpg", "--preview_every=1", "--log=run.jsonl"),
    *("--timelapse=film.gif", "--checkpoint_dir=made", "--checkpoint_every=1"),
]
WRITTEN = {"out.jpg", "out.preview.png", "run.jsonl", "film.gif", "made"}
# All but the working folder can only be read; devices and the like stay.
READ_ONLY = """
mount --make-rprivate / && mount --bind . . && cd "$PWD" || exit 99
for each in $(awk '{print $2}' /proc/mounts); do
    case $each in
        /dev*|/proc*|/sys*|"$PWD") ;;
        *) mount -o remount,bind,ro "$each" || exit 99 ;;
    esac
done
exec "$@"
"""


@pytest.fixture
def place():
    """A folder that every user can reach and write to."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def _become(*prefix):
    """A prefix of a command, if this machine can run it."""
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    if not shutil.which(prefix[0]):
        pytest.skip(f"needs {prefix[0]}")
    code = [sys.executable, "-c", "import nst_tf"]
    tried = subprocess.run([*prefix, *code], cwd="/", capture_output=True)
    if tried.returncode:
        pytest.skip(f"cannot run Python by {prefix[0]} here")
    return list(prefix)


def _homeless():
    # Python may be in root's home: this user may read all, and write as others.
    reads = "+dac_read_search"
    return _become(
        *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
        *(f"--inh-caps={reads}", f"--ambient-caps={reads}"),
        *("env", "-u", "HOME", "-u", "XDG_CACHE_HOME", "-u", "TMPDIR"),
    )


def _paint(place, prefix, *flags):
    """Runs the program in a folder; what it has written and said."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    program = sys.executable, "-m", "nst_tf.run", *JOB, *flags
    return _run([*prefix, *program], place, env=environment)


def _run(command, place, **options):
    """Runs a command in a folder: its result, and the names of files there."""
    result = subprocess.run(
        command, cwd=place, capture_output=True, text=True, **options
    )
    if result.returncode == 99:
        pytest.skip("file systems cannot be made read-only here")
    return result, {path.name for path in place.iterdir()}


def _check(place, result, written):
    """All that was asked for is there and whole, and nothing else."""
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr and "Errno" not in result.stderr
    assert written == WRITTEN
    for name in ("out.jpg", "out.preview.png", "film.gif"):
        with Image.open(place / name) as image:
            image.load()
    lines = (place / "run.jsonl").read_text().splitlines()
    assert lines
    names = [path.name for path in (place / "made").iterdir()]
    assert len(names) == 2 and all("checkpoint" in name for name in names)


@pytest.mark.slow
def test_whoever_runs_it_has_all_that_was_asked_for(place):
    _check(place, *_paint(place, [], *WRITES))
    mode = (place / "out.jpg").stat().st_mode
    assert not mode & 0o111 and mode & 0o600 == 0o600


@pytest.mark.slow
def test_a_user_without_a_home_has_it_too(place):
    prefix = _homeless()
    _check(place, *_paint(place, prefix, *WRITES))
    assert (place / "out.jpg").stat().st_uid == USER
    more = ["--extractor=vgg16", "--weights=auto", "--dry_run"]
    result, _ = _paint(place, prefix, *more)
    assert result.returncode == 0, result.stderr
    assert "not downloaded yet, 59 MB" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("user", ["root", "homeless"])
def test_one_folder_that_can_be_written_to_is_enough(place, user):
    prefix = _become("unshare", "--mount", "sh", "-c", READ_ONLY, "sh")
    if user == "homeless":
        prefix += _homeless()
    _check(place, *_paint(place, prefix, *WRITES))
    result, written = _paint(
        place, prefix, f"--output={ROOT / 'tests' / 'none.png'}"
    )
    assert result.returncode == 1
    assert "output folder" in result.stderr and written == WRITTEN
    assert "is not writable: Read-only file system" in result.stderr


@pytest.mark.slow
def test_a_folder_that_a_plain_user_may_not_write_to_is_said(place):
    prefix = _homeless()
    os.chmod(place, 0o755)
    result, written = _paint(place, prefix, "--output=out.png")
    assert result.returncode == 1 and not written
    assert "is not writable: Permission denied" in result.stderr
    result, written = _paint(place, prefix)
    assert result.returncode == 1 and not written


# The Dockerfile


def _read_dockerfile():
    """The last of each instruction: name -> its arguments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = text.replace("\\\n", " ").splitlines()
    instructions = [line.partition(" ") for line in lines if line[:1] > "#"]
    return {name: rest.strip() for name, _, rest in instructions}


def test_a_container_has_no_rights_and_what_the_package_is_built_from():
    found = _read_dockerfile()
    user, _, group = found["USER"].partition(":")
    assert int(user) > 999 and int(group) > 999
    assert json.loads(found["CMD"]) == ["--help"]
    name, _, cache = found["ENV"].partition("=")
    assert (name, cache) == ("XDG_CACHE_HOME", found["VOLUME"])
    assert f"mkdir --mode=1777 {cache} {found['WORKDIR']}" in found["RUN"]
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert all((ROOT / name).exists() for name in kept)
    assert {"nst_tf", "configs", "setup.cfg", "LICENSE"} <= kept


@pytest.mark.slow
def test_the_command_of_a_container_paints(place):
    found = _read_dockerfile()
    (place / "cache").mkdir()
    (place / "cache").chmod(0o777)
    assert json.loads(found["ENTRYPOINT"]) == ["nst-tf"]
    program = [sys.executable, "-m", "nst_tf.run"]
    prefix = _become("unshare", "--mount", "sh", "-c", READ_ONLY, "sh")
    environment = ["env", "-i", f"PATH={os.environ['PATH']}"]
    environment += [f"PYTHONPATH={ROOT}"]
    environment += [found["ENV"].replace("=", f"={place}", 1)]
    command = [*prefix, *_homeless(), *environment, *program, *JOB, *WRITES]
    result, written = _run(command, place)
    _check(place, result, written - {"cache"})
