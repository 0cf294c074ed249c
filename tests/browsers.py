"""Chromium, which Playwright drives; tests skip without it, but not in CI."""

import contextlib
import importlib
import os
import shutil

import pytest

IS_NEEDED = "NST_TF_NEEDS_BROWSER" in os.environ  # as in CI
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}


def need(module):
    """Imports a module; the tests skip without it, but not in CI."""
    if IS_NEEDED:
        return importlib.import_module(module)
    return pytest.importorskip(module)


@contextlib.contextmanager
def launch():
    """Starts the browser."""
    playwright = need("playwright.sync_api")
    if not CHROMIUM and IS_NEEDED:
        raise RuntimeError("there is no chromium: apt-get install chromium")
    if not CHROMIUM:
        pytest.skip("there is no chromium here")
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()
