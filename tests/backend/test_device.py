"""What this machine computes in: the type that is fast, and what is said."""

import types

import pytest

from nst_tf.backend import device


@pytest.mark.parametrize(
    ("flags", "onednn", "precision"),
    [
        ("fpu avx512f avx512_bf16 clzero", "1", "bfloat16"),
        ("fpu avx512f amx_bf16 amx_tile", "1", "bfloat16"),
        ("fpu avx2 avx512f avx512_vnni", "1", "float32"),
        ("fpu avx512f avx512_bf16 amx_bf16", "0", "float32"),
        (None, "1", "float32"),  # it says nothing
    ],
)
def test_auto_is_bfloat16_where_a_cpu_multiplies_it(
    tmp_path, monkeypatch, flags, onednn, precision
):
    if device.is_gpu():
        pytest.skip("a GPU decides")
    monkeypatch.setattr(device, "CPU", tmp_path / "cpuinfo")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    if flags:
        text = f"processor\t: 0\nflags\t\t: {flags}\n"
        (tmp_path / "cpuinfo").write_text(text)
    assert device.resolve_precision("auto") == precision
    assert device.resolve_precision("float32") == "float32"
    assert device.emulates_bfloat16() is (precision == "float32")


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")],
)
def test_auto_is_bfloat16_on_a_gpu_that_has_it(
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
