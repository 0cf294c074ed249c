"""What this machine computes in: the type that is fast, and what is said."""

import logging
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import tensorflow as tf

import nst_tf
from nst_tf.backend import device


@pytest.mark.parametrize(
    ("flags", "environment", "precision"),
    [
        ("fpu avx512f avx512_bf16 clzero", {}, "bfloat16"),
        ("fpu avx512f amx_bf16 amx_tile", {}, "bfloat16"),
        ("fpu avx2 avx512f avx512_vnni", {}, "float32"),
        ("amx_bf16", {"TF_ENABLE_ONEDNN_OPTS": "0"}, "float32"),
        ("amx_bf16", {"ONEDNN_MAX_CPU_ISA": "avx2"}, "float32"),
        ("amx_bf16", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, "bfloat16"),
        (None, {}, "float32"),  # it says nothing
    ],
)
def test_auto_is_bfloat16_where_a_cpu_multiplies_it(
    tmp_path, monkeypatch, flags, environment, precision
):
    if device.is_gpu():
        pytest.skip("a GPU decides")
    monkeypatch.setattr(device, "CPU", tmp_path / "cpuinfo")
    for name in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if flags:
        text = f"processor\t: 0\nflags\t\t: {flags}\n"
        (tmp_path / "cpuinfo").write_text(text)
    assert device.resolve_precision("auto") == precision
    assert device.resolve_precision("float32") == "float32"
    assert device.emulates_bfloat16() is (precision == "float32")


@pytest.mark.parametrize(
    ("capability", "precision"),
    [
        *[((6, 1), "float32"), ((7, 0), "float16"), ((7, 5), "float16")],
        *[((8, 0), "bfloat16"), ((8, 9), "bfloat16"), ((12, 0), "bfloat16")],
    ],
)
def test_auto_is_the_half_precision_that_a_gpu_has(
    monkeypatch, capability, precision
):
    gpu = types.SimpleNamespace(name="GPU:0")
    monkeypatch.setattr(device, "_gpus", lambda: [gpu])
    details = {"compute_capability": capability, "device_name": "a card"}
    monkeypatch.setattr(device, "_details", lambda gpu: details)
    assert device.resolve_precision("auto") == precision
    assert not device.emulates_bfloat16()
    assert device.is_gpu() and device.describe() == "a card"
    del details["device_name"]
    assert device.describe() == "GPU:0"


@pytest.mark.parametrize("emulates", [False, True])
def test_only_emulated_bfloat16_has_a_note(monkeypatch, emulates):
    monkeypatch.setattr(device, "emulates_bfloat16", lambda: emulates)
    words = "bfloat16 is emulated on this CPU and several times slower"
    note = device.describe_emulation("bfloat16")
    assert note.startswith(words) is emulates
    for precision in ("auto", "float32", "float16"):
        assert device.describe_emulation(precision) == ""


# Which device computes

FIRST, SECOND = (types.SimpleNamespace(name=name) for name in ("one", "two"))


@pytest.fixture
def gpus(monkeypatch):
    """TensorFlow with two GPUs; the list of those that it computes on."""
    import tensorflow as tf

    visible = [FIRST, SECOND]

    def show(wanted, kind):
        visible[:] = wanted

    for name, function in (
        ("list_physical_devices", lambda kind: [FIRST, SECOND]),
        ("get_visible_devices", lambda kind: list(visible)),
        ("set_visible_devices", show),
    ):
        monkeypatch.setattr(tf.config, name, function)
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, grows: None
    )
    monkeypatch.setattr(device, "_details", lambda gpu: {})
    monkeypatch.setattr(device, "_chosen", "auto")
    monkeypatch.setattr(device, "_deterministic", False)
    return visible


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("auto", [FIRST, SECOND]),
        ("cpu", []),
        ("gpu", [FIRST]),
        ("gpu:0", [FIRST]),
        ("gpu:1", [SECOND]),
    ],
)
def test_the_device_that_is_chosen_is_the_one_that_computes(gpus, name, there):
    device.choose(name)
    device.prepare()
    assert gpus == there
    assert device.is_gpu() == bool(there)
    words = there[0].name if there else f"the CPU, {os.cpu_count()} cores"
    assert device.describe() == words


def test_operations_are_deterministic_where_that_is_chosen(gpus, monkeypatch):
    import tensorflow as tf

    calls = []
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: calls.append(1)
    )
    device.choose("auto")
    device.prepare()
    assert not calls
    device.choose("auto", True)
    device.prepare()
    assert calls


def test_a_device_that_is_not_there_is_said(gpus, monkeypatch):
    device.choose("gpu:2")
    words = "device is 'gpu:2', but TensorFlow found gpu:0, gpu:1; choose"
    with pytest.raises(ValueError, match=words):
        device.prepare()
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    device.choose("gpu")
    with pytest.raises(ValueError, match="TensorFlow found no GPU; choose"):
        device.prepare()
    for name in ("cuda", "GPU:1", "gpu:x", "tpu", ""):
        with pytest.raises(ValueError, match="xpected auto, cpu, gpu or gpu:1"):
            device.choose(name)


def test_a_process_that_computes_keeps_its_device(gpus, monkeypatch):
    import tensorflow as tf

    def refuse(wanted, kind):
        raise RuntimeError("cannot be modified after being initialized")

    gpus[:] = [FIRST]
    monkeypatch.setattr(tf.config, "set_visible_devices", refuse)
    device.choose("gpu")
    device.prepare()
    device.choose("cpu")
    words = "device is 'cpu', but this process already uses one; choos"
    with pytest.raises(ValueError, match=words):
        device.prepare()


# The import of TensorFlow

TENSORFLOW = """
import os, time
os.write(2, BANNER)
time.sleep(0.2)
os.write(2, OTHER)

class config:
    def get_visible_devices(kind):
        return []
"""
BANNER = b"""\
WARNING: All log messages before absl::InitializeLog() is called are written
I0000 00:00:1795993141.019265   18539 port.cc:153] oneDNN custom operations
I0000 00:00:1795993141.040837   18539 cudart_stub.cc:31] Could not find cuda
2024-05-01 10:00:00.1: I tensorflow/core/platform/cpu_feature_guard.cc:210] T
To enable the following instructions: AVX2 FMA, in other operations, rebuild
E0000 00:00:1795993169.600356   18539 cuda_dnn.cc:8310] Unable to register \
cuDNN factory: Attempting to register factory
E0000 00:00:1795993169.600356   18539 cuda_platform.cc:52] failed call to \
cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)
"""
OTHER = b"""\
E0000 00:00:1795993169.600356   18539 cuda_platform.cc:52] failed call to \
cuInit: CUDA_ERROR_UNKNOWN: unknown error (999)
trouble in port.cc
"""


def _prepare(folder, code, shell=""):
    """Runs code after which `prepare` imports a TensorFlow of few words."""
    source = f"BANNER = {BANNER!r}\nOTHER = {OTHER!r}\n{TENSORFLOW}"
    (folder / "tensorflow.py").write_text(source)
    root = Path(nst_tf.__file__).parents[1]
    code = f"import os, sys\nfrom nst_tf.backend import device\n{code}"
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {shell}', "", sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{folder}:{root}"},
        capture_output=True,
        check=True,
    )


def test_of_what_an_import_writes_the_banner_is_withheld(tmp_path):
    code = "device.prepare()\nos.write(2, b'after')"
    assert _prepare(tmp_path, code).stderr == OTHER + b"after"
    code = "import tensorflow\ndevice.prepare()"  # it was shown already
    assert _prepare(tmp_path, code).stderr == BANNER + OTHER


def test_threads_leave_standard_error_as_it_was(tmp_path):
    code = """
import threading
swaps, swap = [], os.dup2
os.dup2 = lambda *pair: swaps.append(pair) or swap(*pair)
before = os.fstat(2)
threads = [threading.Thread(target=device.prepare) for _ in range(8)]
for thread in threads: thread.start()
os.write(2, b"meanwhile\\n")
for thread in threads: thread.join()
device.prepare()
assert os.path.samestat(os.fstat(2), before)
assert [second for _, second in swaps] == [2, 2], swaps
os.write(2, b"after")
"""
    result = _prepare(tmp_path, code).stderr
    assert sorted(result.splitlines()) == sorted(
        (b"meanwhile\n" + OTHER + b"after").splitlines()
    )


def test_a_closed_standard_error_is_left_alone(tmp_path):
    code = """
files, make = [], device.tempfile.TemporaryFile
device.tempfile.TemporaryFile = lambda: files.append(1) or make()
os.write = lambda *_: 0  # libraries of C ignore that it is closed
device.prepare()
assert not files
try:
    os.fstat(2)
except OSError:
    print("closed")
"""
    result = _prepare(tmp_path, code, "2>&-")
    assert (result.stdout, result.stderr) == (b"closed\n", b"")


def test_an_import_that_fails_leaves_standard_error(tmp_path):
    code = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            os.write(2, b"no library\\n")
            raise ImportError(name)
sys.meta_path.insert(0, Finder())
try:
    device.prepare()
except ImportError:
    os.write(2, b"after")
"""
    assert _prepare(tmp_path, code).stderr == b"no library\nafter"


def test_peak_memory_is_that_of_the_gpu_if_there_is_one(monkeypatch):
    asked = []
    monkeypatch.setattr(
        tf.config.experimental,
        "get_memory_info",
        lambda name: asked.append(name) or {"current": 5, "peak": 7},
    )
    monkeypatch.setattr(device, "_gpus", lambda: ["one"])
    assert device.read_peak_memory() == 7 and asked == ["GPU:0"]
    monkeypatch.setattr(device, "_gpus", list)
    memory = device.read_peak_memory()
    assert memory is None or memory > 10**7
    assert asked == ["GPU:0"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no resource")
def test_memory_is_told_in_bytes_on_macos_and_in_kib_elsewhere(monkeypatch):
    import resource

    monkeypatch.setattr(device, "_gpus", list)
    usage = types.SimpleNamespace(ru_maxrss=5000)
    monkeypatch.setattr(resource, "getrusage", lambda who: usage)
    for platform, expected in (("darwin", 5000), ("linux", 5000 * 1024)):
        monkeypatch.setattr(sys, "platform", platform)
        assert device.read_peak_memory() == expected


def test_a_retrace_is_no_mistake_and_other_warnings_are_shown(caplog):
    logger = logging.getLogger("tensorflow")
    words = "5 out of the last 5 calls to f triggered tf.function retracing."
    with device.ignore_retraces():
        logger.warning("%s", words)
        logger.warning("mine")
    logger.warning(words)
    assert caplog.messages == ["mine", words]
