"""What a release needs: one version, absolute links, a sound workflow."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

import nst_tf

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = "https://example.com/nst_tf"
TAG = f"v{nst_tf.__version__}"
FILES = ("nst_tf/__init__.py", "CITATION.cff", "CHANGELOG.md", "setup.cfg")


@pytest.fixture
def tree(tmp_path):
    """The files that a release is checked by, ready for one."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    _replace(tmp_path / "CHANGELOG.md", r"## Unreleased", f"## {TAG[1:]}")
    _replace(tmp_path / "setup.cfg", r"\[metadata\]", f"&\nurl = {ADDRESS}")
    return tmp_path


def _replace(path, pattern, text):
    changed, count = re.subn(
        pattern, lambda found: text.replace("&", found[0]), path.read_text()
    )
    assert count == 1
    path.write_text(changed)


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.syspath_prepend(ROOT / "scripts")


@pytest.mark.parametrize(
    ("tag", "name", "pattern", "text", "faults"),
    [
        (TAG, "setup.cfg", r"\[metadata\]", "&", []),
        ("1.0", "setup.cfg", r"\[metadata\]", "&", ["the tag is 1.0, exp"]),
        (
            "v7.0.0",
            "setup.cfg",
            f"url = {ADDRESS}\n",
            "",
            [*(f"{name} has version" for name in FILES[:3]), "setup.cfg has"],
        ),
        (
            TAG,
            "CHANGELOG.md",
            f"## {TAG[1:]}",
            "## Unreleased",
            ["CHANGELOG.md has version Unreleased, but the tag is " + TAG],
        ),
        (
            TAG,
            "CITATION.cff",
            f"version: {TAG[1:]}\n",
            "",
            [f"CITATION.cff has version none, but the tag is {TAG}"],
        ),
    ],
)
def test_a_tag_is_released_when_all_agree(
    tree, tag, name, pattern, text, faults
):
    import check_release

    _replace(tree / name, pattern, text)
    found = check_release.list_faults(tag, tree)
    assert len(found) == len(faults)
    for fault, start in zip(found, faults, strict=True):
        assert fault.startswith(start)


def test_the_version_is_that_of_the_citation():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {nst_tf.__version__}\n" in text


def test_links_of_the_long_description_are_absolute():
    import setup

    text = setup.describe(ADDRESS)
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text)
    assert len(links) > 20
    for image, link in links:
        kind = "raw" if image else "blob"
        start = f"{ADDRESS}/{kind}/main/"
        if link.startswith(ADDRESS):
            assert link.startswith(start)
            assert (ROOT / link.removeprefix(start)).is_file(), link
        else:
            assert link.startswith("https://"), link
    assert setup.describe("") == (ROOT / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "check-jsonschema --builtin-schema vendor.github-workflows "
        ".github/workflows/checks.yml",
        "check-jsonschema --builtin-schema vendor.github-issue-forms "
        ".github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/wish.yml",
        "zizmor --offline --quiet .github",
    ],
)
def test_the_workflow_is_valid_and_safe(command):
    program, *arguments = command.split()
    path = Path(sysconfig.get_path("scripts")) / program
    if not path.exists():
        pytest.skip(f"{program} is not installed; the extra test has it")
    done = subprocess.run(
        [path, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
