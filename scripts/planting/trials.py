"""Runs the default tests that concern a function, in a copy of the checkout."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300  # of one test, after which it hangs
MOST_MENTIONS = 6  # files; a module that more of them mention is everywhere


class Outcome(NamedTuple):
    """Tells whether tests failed, and which of them, "hang" or "crash"."""

    found: bool
    by: str = ""


class Tree:
    """A copy of the checkout in which files may be changed and tests run.

    Args:
        folder: A folder that does not exist, for the copy.
        limit: Seconds that all tests of a trial may take.
    """

    def __init__(self, folder: Path, limit: float):
        self._folder = folder
        self._limit = limit
        self._is_sound: dict[str, bool] = {}
        listed = subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def try_source(self, module: str, source: str, function: str) -> Outcome:
        """Runs the tests with a module's source in place of its own.

        A test that fails with its own source, too, is left out from then on.
        """
        path = self._folder / module
        sound = path.read_bytes()
        tests = list_tests(self._folder, module, function)
        while True:
            try:
                path.write_text(source, encoding="utf-8")
                outcome = self._run(tests)
            finally:
                path.write_bytes(sound)
            test = outcome.by
            if "::" in test and test not in self._is_sound:
                self._is_sound[test] = not self._run([test]).found
            if self._is_sound.get(test, True):
                return outcome

    def _run(self, tests: list[str]) -> Outcome:
        """Runs tests, up to the first that fails."""
        left_out = [
            f"--deselect={test}"
            for test, sound in self._is_sound.items()
            if not sound
        ]
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-x", "-q", "--tb=no"),
                *("-rfE", "-p", "no:cacheprovider", f"--timeout={SECONDS}"),
                *left_out,
                *tests,
            ],
            cwd=self._folder,
            env={
                **os.environ,
                "PYTHONPATH": str(self._folder),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            text, _ = process.communicate(timeout=self._limit)
        except subprocess.TimeoutExpired:
            return Outcome(True, "hang")
        finally:
            _end(process)
        failed = re.search(
            r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", text, re.MULTILINE
        )
        if process.returncode in (0, 5):  # 5: there are no tests
            return Outcome(False)
        return Outcome(True, failed[1] if failed else "crash")


def list_tests(root: Path, module: str, function: str) -> list[str]:
    """Lists the test files that concern a function, the nearest ones first.

    Those are the module's own, those of its room, those that mention the
    function (or its class), and those that mention the module, if few do.
    """
    path = Path(module)
    room, name = path.parent.name, path.stem
    outermost = function.partition(".")[0]
    texts = {
        str(each.relative_to(root)): each.read_text(encoding="utf-8")
        for each in sorted((root / "tests").rglob("test_*.py"))
    }

    def find(pattern: str) -> list[str]:
        return [each for each in texts if re.search(pattern, texts[each])]

    about_module = find(rf"\b{name}\.\w")
    tests = [
        *(each for each in texts if Path(each).name == f"test_{name}.py"),
        *(each for each in texts if Path(each).parent.name == room),
        *find(rf"\.{outermost}\b"),
        *(about_module if len(about_module) <= MOST_MENTIONS else []),
    ]
    return [*dict.fromkeys(tests or about_module)]


def _end(process: subprocess.Popen[str]) -> None:
    """Kills a process with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
