"""Chooses the device of this process, and its fast data type."""

import contextlib
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from nst_tf import display, errors, watcher
from nst_tf.backend import host_memory

CPU = Path("/proc/cpuinfo")  # on Linux
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
_LOCK = threading.Lock()  # for the first import of TensorFlow
NO_GPU = " (TensorFlow sees no GPU)"
_NAME = re.compile(r"auto|cpu|gpu(?::(\d+))?")
# oneDNN's names of instruction sets without bfloat16.
_WITHOUT_BFLOAT16 = {
    *("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"),
    *("AVX512_CORE", "AVX512_CORE_VNNI"),
}
_chosen = "auto"  # set by `choose`, used by `prepare`
_deterministic = False  # likewise
# TensorFlow's harmless messages, with and without a GPU: 303 means that no
# driver is installed.
_BANNER = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|To enable the following instructions:"
    rb"|.*\b(port|cpu_feature_guard|cudart_stub|computation_placer)\.cc:\d+\]"
    rb"|.*\.cc:\d+\] (Unable to register cu\w+ factory"
    rb"|failed call to cuInit: .*\(303\))"
)


def describe() -> str:
    """Returns the name of the device that TensorFlow will use."""
    gpus = _gpus()
    if not gpus:
        import tensorflow as tf

        hidden = tf.config.list_physical_devices("GPU")
        words = "" if hidden else NO_GPU
        return f"the CPU, {os.cpu_count()} cores{words}"
    return _details(gpus[0]).get("device_name", gpus[0].name)


def choose(name: str, deterministic: bool = False) -> None:
    """Chooses the device of this process; `prepare` applies it.

    Args:
        name: auto, a GPU if there is one; cpu; gpu, the first one; gpu:1, the
            second, and so on.
        deterministic: Whether results must be bit-identical between runs.
            TensorFlow cannot switch this off again.

    Raises:
        ValueError: If the name is none of these.
    """
    global _chosen, _deterministic
    check_name(name)
    _chosen, _deterministic = name, deterministic


def check_name(name: str) -> None:
    """Raises ValueError if no device has such a name."""
    if not _NAME.fullmatch(name):
        meant = name.lower().replace("cuda", "gpu")
        near = f"; did you mean {meant!r}?" if _NAME.fullmatch(meant) else ""
        raise ValueError(
            f"unknown device {name!r}"
            + errors.go_on(near, "expected auto, cpu, gpu or gpu:1.")
        )


def prepare() -> None:
    """Imports TensorFlow with its own Keras, and enables memory growth.

    It overrides a Keras configuration for another backend, which would fail.

    Raises:
        ValueError: If the chosen device is missing, or this process already
            uses another one.
        MemoryError: If TensorFlow cannot be loaded under `ulimit -v`.
    """
    with _LOCK, contextlib.ExitStack() as stack:
        if "tensorflow" not in sys.modules:
            host_memory.check_addresses()
            display.show_stage("loading TensorFlow")
            stack.enter_context(_withhold_banner())
            stack.enter_context(watcher.at_once())
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
        if os.path.expanduser("~") == "~" and "KERAS_HOME" not in os.environ:
            # Without a home folder Keras would create a folder "~".
            os.environ["KERAS_HOME"] = os.path.join(os.devnull, "keras")
            stack.callback(os.environ.pop, "KERAS_HOME", None)
        import tensorflow as tf

        if _chosen != "auto":
            _show_only(_chosen)
        if _deterministic:
            tf.config.experimental.enable_op_determinism()
        with contextlib.suppress(RuntimeError):  # a device is in use already
            for gpu in _gpus():
                tf.config.experimental.set_memory_growth(gpu, True)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error means out of memory.

    oneDNN reports it as status 1, which TensorFlow raises as AbortedError.
    """
    import tensorflow as tf

    if isinstance(error, tf.errors.AbortedError):
        return "Status: 1," in str(error)
    return isinstance(error, (tf.errors.ResourceExhaustedError, MemoryError))


def resolve_precision(precision: str) -> str:
    """Resolves "auto" to the fastest accurate data type.

    "auto" is bfloat16 where it is fast: on a GPU of compute capability 8 or
    more, and on a CPU with AMX or AVX-512 BF16, through oneDNN. A GPU of
    capability 7 (T4, V100) has fast units only for float16. Elsewhere it is
    float32, since emulated half precision is several times slower.

    Args:
        precision: One of `PRECISIONS`.

    Returns:
        "float32", "bfloat16" or "float16".
    """
    if precision != "auto":
        return precision
    gpus = _gpus()
    if gpus:
        major, _ = _details(gpus[0]).get("compute_capability", (0, 0))
        if major == 7:
            return "float16"
        fast = major >= 8
    else:
        fast = _cpu_multiplies_bfloat16()
    return "bfloat16" if fast else "float32"


def emulates_bfloat16() -> bool:
    """Returns whether the device is a CPU that emulates bfloat16.

    TensorFlow then uses Eigen, which rounds partial sums of matrix products to
    bfloat16; oneDNN sums in float32.
    """
    return not _gpus() and not _cpu_multiplies_bfloat16()


def describe_emulation(precision: str) -> str:
    """Returns a note if a precision is emulated on this machine, else ""."""
    if precision != "bfloat16" or not emulates_bfloat16():
        return ""
    return (
        "bfloat16 is emulated on this CPU and several times slower than "
        "float32; use --precision=auto"
    )


def is_gpu() -> bool:
    """Returns whether TensorFlow will use a GPU."""
    return bool(_gpus())


def read_peak_memory() -> int | None:
    """Returns the peak memory in bytes; None if unknown.

    On a GPU it is the GPU's memory.
    """
    import tensorflow as tf

    if _gpus():
        info = tf.config.experimental.get_memory_info("GPU:0")
        return int(info["peak"])
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextlib.contextmanager
def ignore_retraces() -> Iterator[None]:
    """Hides TensorFlow's retracing warnings, since each level is traced."""
    logger = logging.getLogger("tensorflow")

    def keep(record: logging.LogRecord) -> bool:
        return "tf.function retracing" not in record.getMessage()

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


@contextlib.contextmanager
def _withhold_banner() -> Iterator[None]:
    """Hides TensorFlow's banner on standard error.

    Other output is passed on afterwards.
    """
    with contextlib.ExitStack() as stack:
        try:
            saved = os.dup(2)  # first, so that the file is not descriptor 2
            stack.callback(os.close, saved)
            kept = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # no temporary folder, or no standard error
            yield
            return
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            kept.seek(0)
            rest = [line for line in kept if not _BANNER.match(line)]
            with (
                contextlib.suppress(OSError),
                open(saved, "wb", closefd=False) as stderr,
            ):
                stderr.writelines(rest)


def _show_only(name: str) -> None:
    """Restricts TensorFlow to one device, before its first computation."""
    import tensorflow as tf

    there = tf.config.list_physical_devices("GPU")
    number = int(name.partition(":")[2] or 0)
    wanted = [] if name == "cpu" else there[number : number + 1]
    if name != "cpu" and not wanted:
        names = [f"gpu:{index}" for index in range(len(there))]
        raise ValueError(
            f"--device is {name!r}, but TensorFlow found "
            f"{', '.join(names) or 'no GPU'}; choose cpu, auto or a GPU that "
            "exists."
        )
    if _gpus() == wanted:
        return
    try:
        tf.config.set_visible_devices(wanted, "GPU")
    except RuntimeError:
        raise ValueError(
            f"--device is {name!r}, but this process already uses "
            f"{describe()}; choose the same device, or restart Python."
        ) from None


def _gpus() -> list:  # type: ignore[type-arg]
    """Lists the GPUs that TensorFlow uses."""
    import tensorflow as tf

    return tf.config.get_visible_devices("GPU")


def _details(gpu) -> dict:  # type: ignore[no-untyped-def, type-arg]
    """Returns the name and compute capability of a GPU."""
    import tensorflow as tf

    return tf.config.experimental.get_device_details(gpu)


def _cpu_multiplies_bfloat16() -> bool:
    """Returns whether oneDNN has bfloat16 instructions on this CPU."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return False
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _WITHOUT_BFLOAT16:
        return False
    try:
        flags = CPU.read_text().split()
    except OSError:  # not Linux
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
