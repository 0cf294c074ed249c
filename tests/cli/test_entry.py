"""What is answered without a run: help, versions, completion."""

import dataclasses
import shlex
import shutil
import subprocess

import children
import pytest

import nst_tf
from nst_tf import run
from nst_tf.batch import command_line
from nst_tf.cli import completion, judge_command, programs, usage
from nst_tf.plan import settings
from nst_tf.web import command as web_command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-h"], f"{usage.SUMMARY}\n"),
        (["--size=3", "-h"], f"{usage.SUMMARY}\n"),
        (["--helpshort"], f"{usage.format_usage()}\n"),
        (["--version"], f"nst-tf {nst_tf.__version__}\n"),
        (["-V"], f"nst-tf {nst_tf.__version__}\n"),
        (["--completion=bash"], f"{completion.write('bash')}\n"),
        (["--completion", "fish"], f"{completion.write('fish')}\n"),
    ],
)
def test_the_answer_is_all_of_standard_output(capsys, arguments, words):
    assert run.main(arguments) == 0
    assert capsys.readouterr() == (words, "")


def test_no_answer_needs_numpy():
    code = (
        "import sys; from nst_tf import run\n"
        "for flag in ('-h', '--help', '-V', '--completion=bash'):\n"
        "    assert run.main([flag]) == 0\n"
        "assert not {'numpy', 'PIL', 'tensorflow'} & set(sys.modules)"
    )
    children.run_python("-c", code, check=True)


def test_versions_are_those_for_a_report_of_faults(capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "kept")
    assert run.main(["--version", "-v"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("nst-tf", "Python", "tensorflow", "keras", "numpy", "pillow"),
        *("device", "precision", "cache", "package"),
    ]
    assert lines[8] == "cache       kept/nst_tf"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--completion=bsh"], "completion is 'bsh'; did you mean 'bash'?"),
        (["--completion", "zsh", "-y"], "--completion needs a sh"),
    ],
)
def test_a_wrong_question_gets_a_sentence(capsys, arguments, words):
    assert run.main(arguments) == 1
    out, err = capsys.readouterr()
    assert not out and words in err and err.count("\n") == 1


def _complete(folder, *words):
    """What bash offers for the last of some words."""
    script = folder / ".script"
    script.write_text(completion.write("bash"))
    for name in ("photo.jpg", "painting.jpg"):
        (folder / name).touch()
    line = " ".join(map(shlex.quote, ("nst-tf", *words)))
    code = (
        f"source {script}; COMP_WORDS=({line}) COMP_CWORD={len(words)}; "
        "_nst_tf; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    result = subprocess.run(
        [shutil.which("bash"), "--norc", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not result.stderr
    return result.stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--opt"], ["--optimizer="]),
        (["--style-l"], ["--style-loss=", "--style-layers="]),
        (["--style_l"], ["--style_loss=", "--style_layers="]),
        (["--dry"], ["--dry-run"]),
        (["--optimizer", "=", "l"], ["lbfgs"]),
        (["--style_fit", "="], ["keep", "side", "stretch", "crop"]),
        (["--flagfile", "st"], ["starry"]),
        (["--weights", "=", "s"], ["small"]),
        (["--weights", "=", "p"], ["painting.jpg", "photo.jpg"]),
        (["--content", "=", "ph"], ["photo.jpg"]),
        (["-o", "pa"], ["painting.jpg"]),
        (["ph"], ["photo.jpg"]),
        (["photo.jpg", "pa"], ["painting.jpg"]),
        (["--size", "=", ""], []),
    ],
)
def test_bash_completes_flags_values_and_files(tmp_path, words, offered):
    assert sorted(_complete(tmp_path, *words)) == sorted(offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "program",
    [*(None, judge_command.PROGRAM, command_line.PROGRAM), web_command.PROGRAM],
)
def test_a_script_knows_every_flag(program, shell, tmp_path, capsys):
    known = list(settings.FIELDS.values())
    if program:
        assert programs.answer(program, [f"--completion={shell}"])
        known = [settings.FIELDS[name] for name in program.settings]
        known += dataclasses.fields(program.options)
    text = capsys.readouterr().out if program else completion.write(shell)
    assert (program.name if program else "nst-tf") in text
    for field in known:
        assert field.name.replace("_", "-") in text
        for word in map(str, field.metadata.get("choices", ())):
            assert word in text
        letter = field.metadata.get("short", "")
        assert f"-{letter}" in text or f"-s {letter}" in text
    if path := shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(text)
        subprocess.run([path, "-n", script], check=True)


@pytest.mark.parametrize("module", ["nst_tf", "nst_tf.run"])
def test_the_program_is_a_module(module):
    result = children.run_python("-m", module, "-V", check=True)
    assert result.stdout == f"nst-tf {nst_tf.__version__}\n"
