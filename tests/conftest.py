"""What every test starts from: no home, no caches, exact floats."""

import os
import signal
import sys
from pathlib import Path

import pytest

# Before TensorFlow is imported, by any test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parent))
# Child processes find the package in any folder.
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """Hides the user's home, caches and variables."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("NST_TF_WEIGHTS", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_painters():
    """Forgets what other tests have compiled, with what they had replaced."""
    yield
    if pool := sys.modules.get("nst_tf.transfer.painter_pool"):
        pool.clear()


@pytest.fixture
def no_home(monkeypatch):
    """Makes a user who has no home, as in a container."""
    pwd = pytest.importorskip("pwd", reason="Windows has no list of users")

    def none(user):
        raise KeyError(f"getpwuid(): uid not found: {user}")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", none)


@pytest.fixture(scope="session", autouse=True)
def _exact_floats():
    """Switches TF32 off, which keeps three digits on recent GPUs."""
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)


@pytest.fixture
def default_signals():
    """Handles SIGINT and SIGHUP by default, in child processes too.

    nohup ignores SIGHUP, and a background job of a script ignores SIGINT. Only
    tests that send a signal use this: the others must survive a hangup.
    """
    handlers = {signal.SIGINT: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):  # not on Windows
        handlers[signal.SIGHUP] = signal.SIG_DFL
    before = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Adds the network "toy" and a file of its weights: its path."""
    import toys

    from nst_tf.network import architectures

    monkeypatch.setitem(architectures.NETWORKS, "toy", toys.ARCHITECTURE)
    path = tmp_path / "toy.h5"
    toys.write_weights(path)
    return path


@pytest.fixture
def folder(tmp_path, toy, monkeypatch):
    """A working directory with toy.cfg, a flag file for the toy network."""
    import toys

    monkeypatch.chdir(tmp_path)
    toys.write_flag_file(toy)
    return tmp_path


@pytest.fixture
def painter(monkeypatch):
    """Paints in place of every painter, without a network."""
    import pretend

    from nst_tf.transfer import method

    painter = pretend.Painter()
    monkeypatch.setattr(method, "Painter", painter)
    return painter
