"""Where weights are found; files of all kinds; a host that fails."""

import hashlib
import http.server
import os
import pickle
import socket
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import h5py
import hosts
import numpy as np
import pytest
import toys

from nst_tf import files
from nst_tf.network import architectures, weight_files


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves <tmp>/host on localhost, in place of Keras's; counts hits."""
    folder = tmp_path / "host"
    (folder / "toy").mkdir(parents=True)

    class Handler(http.server.SimpleHTTPRequestHandler):
        hits = 0

        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            type(self).hits += 1
            super().do_GET()

        def log_message(self, *args):
            pass

    with hosts.serve(Handler) as httpd:
        url = f"http://localhost:{httpd.server_port}"
        monkeypatch.setattr(weight_files, "HOST", url)
        yield folder / "toy", Handler


def _name():
    return "toy_weights_tf_dim_ordering_tf_kernels_notop.h5"


def _name_digest(monkeypatch, digest):
    """Gives the toy network a file of Keras's."""
    known = toys.ARCHITECTURE._replace(keras_md5=digest)
    monkeypatch.setitem(architectures.NETWORKS, "toy", known)


def _check(layers):
    for name, (kernel, bias) in toys.weights().items():
        np.testing.assert_array_equal(layers[name][0], kernel)
        np.testing.assert_array_equal(layers[name][1], bias)


@pytest.mark.parametrize("form", ["keras 2", "whole model", "keras 3"])
def test_reads_what_keras_writes_whatever_its_name(toy, tmp_path, form):
    path = toy if form == "keras 2" else tmp_path / "renamed.data"
    if form == "whole model":
        with h5py.File(toy) as source, h5py.File(path, "w") as file:
            source.copy(source["/"], file, "model_weights")
    elif form == "keras 3":
        with h5py.File(path, "w") as file:
            for number, pair in enumerate(toys.weights().values()):
                suffix = f"_{number}" if number else ""
                group = file.create_group(f"layers/conv2d{suffix}/vars")
                group["0"], group["1"] = pair
            file.create_group("layers/max_pooling2d/vars")
    layers = weight_files.load("toy", str(path)).layers
    _check(layers)
    assert {array.dtype for pair in layers.values() for array in pair} == {
        np.dtype("float32")
    }


KERNEL = "block1_conv1/block1_conv1/kernel:0"
BIAS = "block1_conv1/block1_conv1/bias:0"
EXTERNAL = h5py.ExternalLink("other.h5", "/")


def _write(changes):
    """Writes the toy network with layers changed, or left out."""
    layers = {**toys.weights(), **changes}
    return lambda path: toys.write_weights(
        path, {name: pair for name, pair in layers.items() if pair}
    )


def _change(change):
    """Changes a whole file."""

    def make(path):
        with h5py.File(path, "a") as file:
            change(file)

    return make


def _replace(name, value=None):
    """Puts something else into a whole file, or nothing."""

    def replace(file):
        del file[name]
        if value is not None:
            file[name] = value

    return _change(replace)


def _cast(change):
    """Changes the values of the first kernel."""
    return _change(lambda file: _recreate(file, KERNEL, change=change))


def _recreate(file, name, change=np.asarray, **options):
    """Replaces an array by one that is stored in another way."""
    values = change(np.asarray(file[name]))
    del file[name]
    options.setdefault("data", values)
    options.setdefault("shape", values.shape)
    file.create_dataset(
        name, dtype=options.pop("dtype", values.dtype), **options
    )


def _create(name, **options):
    """The same, for a file."""
    return _change(lambda file: _recreate(file, name, **options))


def _map_virtually(file):
    """Takes an array from another file."""
    layout = h5py.VirtualLayout((3, 3, 3, 6), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", (3, 3, 3, 6))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def _inflate(size):
    """Writes a chunk of 24 bytes that inflates to another size."""

    def write(file):
        _recreate(file, BIAS, data=None, chunks=(6,), compression="gzip")
        file[BIAS].id.write_direct_chunk((0,), zlib.compress(bytes(size)))

    return _change(write)


def _nest(file):
    """Puts a group into itself, and an array too many beside it."""
    file["block1_conv1/again"] = file["block1_conv1"]
    file["block1_conv1/a/b/c"] = np.zeros((2, 2))


def _add_large(file):
    """Adds an array of 128 MB that is all ones."""
    options = {"chunks": (1 << 13, 1 << 10), "compression": "gzip"}
    shape = 1 << 13, 1 << 12
    file.create_dataset(
        "block1_conv1/more", shape, "f4", fillvalue=1, **options
    )


def _zip(path):
    """Writes weights as PyTorch does."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"a": 1}))


HUGE = {"data": None, "shape": (1 << 20, 1 << 12), "chunks": (1 << 12, 1 << 12)}
MORE = {"block3_conv1": (np.zeros((3, 3, 8, 8)), np.zeros(8))}
NO_HDF5, NOT_NUMBERS = "is not an HDF5 file", "block1_conv1 has NaN or infinite"
NOT_FLOATS = "is not for toy: it has values of type .*, expected floats"
NOT_WHOLE = "is damaged|is not for toy|has no Keras layers"
REFUSED = [
    (lambda p: p.unlink(), "there is no weights file"),
    (lambda p: (p.unlink(), p.mkdir()), "is a folder"),
    (lambda p: p.write_text("not weights"), NO_HDF5),
    (lambda p: p.write_bytes(b""), NO_HDF5),
    (_zip, NO_HDF5),
    (lambda p: p.write_bytes(pickle.dumps({"a": np.zeros(3)})), NO_HDF5),
    (lambda p: p.write_bytes(b"\2\0\0\0\0\0\0\0{}"), NO_HDF5),  # safetensors
    (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)), "is damaged"),
    (lambda p: p.write_bytes(p.read_bytes()[:3000]), "is damaged"),
    (lambda p: p.write_bytes(p.read_bytes()[:-9]), "is damaged"),
    (_write({"block2_conv2": None}), "for block2_conv2 it has nothing"),
    (_write(MORE), "is not for toy: for block3_conv1 .* expected nothing"),
    (
        _write({"block1_conv1": (np.zeros((3, 3, 3, 5)), np.zeros(5))}),
        r"has \(5,\) and \(3, 3, 3, 5\), expected \(3, 3, 3, 6\) and",
    ),
    (_replace("block1_conv1", h5py.SoftLink("/none")), "is damaged"),
    (_replace(KERNEL, h5py.SoftLink(f"/{KERNEL}")), "is a link, which is not"),
    (_replace("block1_conv1", np.zeros(3)), "is damaged"),
    (_replace(KERNEL), NOT_WHOLE),
    (_change(lambda f: (f.pop(KERNEL), f.create_group(KERNEL))), NOT_WHOLE),
    (_replace(KERNEL, h5py.Empty("f4")), NOT_WHOLE),
    (_replace(KERNEL, np.full((3, 3, 3, 6), b"text")), NOT_FLOATS),
    (_cast(lambda array: array.astype("i4")), NOT_FLOATS),
    (_cast(lambda array: array + 0j), NOT_FLOATS),
    (_cast(lambda array: array.astype([("a", "f4")])), NOT_FLOATS),
    (_cast(lambda array: array * np.nan), NOT_NUMBERS),
    (_replace(BIAS, np.full(6, np.inf)), NOT_NUMBERS),
    # Links to others, and to what has its values there.
    (_replace("block1_conv1", EXTERNAL), "is a link, which is not"),
    (
        _replace("block1_conv1/block1_conv1", EXTERNAL),
        "is a link, which is not",
    ),
    (
        _replace(KERNEL, h5py.SoftLink("/block1_conv1")),
        "is a link, which is not",
    ),
    (_replace(BIAS, h5py.ExternalLink("other.h5", "a")), "is a link, which"),
    (
        _create(BIAS, data=None, external=[("other.h5", 0, 24)]),
        "bias:0 has its values in other files",
    ),
    (_change(_map_virtually), "kernel:0 has its values in other files"),
    # Too many, too deep, and too large.
    (_change(_nest), r"has .*\(2, 2\).*, expected"),
    (_change(lambda f: f.create_group("\x1b[2J_conv\u202e")), NOT_WHOLE),
    (_change(lambda f: f.create_group("a_conv" + "/a" * 2000)), NOT_WHOLE),
    (
        _change(lambda f: [f.create_group(f"b{n}_conv1") for n in range(2000)]),
        NOT_WHOLE,
    ),
    (_create(KERNEL, **HUGE, compression="gzip"), "it has .*4096"),
    (_create(BIAS, data=None, shape=(1 << 40,), fillvalue=1), "it has .*1099"),
    (_change(_add_large), NOT_WHOLE),
    (_create(BIAS, chunks=(1 << 20,), maxshape=(None,)), "an unsupported way"),
    (_create(BIAS, chunks=(6,), compression="lzf"), "an unsupported way"),
    (_inflate(10**5), "inflates to more than its size"),
    (_inflate(10**7), "a compressed array is too large"),
]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_a_wrong_file_is_refused_in_a_sentence_at_once(
    toy, monkeypatch, change, words
):
    monkeypatch.chdir(toy.parent)
    change(toy)
    os.mkfifo("other.h5")  # to open it would wait for ever
    began = time.process_time()
    with pytest.raises(ValueError, match=words) as caught:
        weight_files.read(toy, "toy")
    assert time.process_time() - began < 1
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("dtype", [">f4", "f8", "f2"])
def test_floats_of_any_kind_are_read(toy, dtype):
    _cast(lambda array: array.astype(dtype))(toy)
    kernel, _ = weight_files.read(toy, "toy")["block1_conv1"]
    expected = toys.weights()["block1_conv1"][0].astype(dtype)
    np.testing.assert_array_equal(kernel, expected.astype("f4"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", ["model_weights", "layers", "block1_conv1"])
def test_a_link_in_place_of_a_group_is_not_followed(toy, monkeypatch, name):
    monkeypatch.chdir(toy.parent)
    os.mkfifo("other.h5")
    with h5py.File("a.h5", "w") as file:
        file[name] = EXTERNAL
    with pytest.raises(ValueError, match=f"{name} is a link, which is not"):
        weight_files.read(Path("a.h5"), "toy")


def test_compressed_arrays_are_read(toy):
    for name in (KERNEL, BIAS):
        _create(name, compression="gzip", shuffle=True, fletcher32=True)(toy)
    _create("block2_conv1/block2_conv1/kernel:0", chunks=(1, 3, 6, 5))(toy)
    _create("block2_conv2/block2_conv2/kernel:0", chunks=(3, 3, 3, 8),
            compression="gzip")(toy)  # fmt: skip
    _check(weight_files.read(toy, "toy"))


@pytest.mark.parametrize(
    "content",
    [
        {"layers": np.zeros((43, 1)), "meta": np.zeros(3)},  # MATLAB's
        {"model_weights": np.zeros(3)},
        {"latitude": np.zeros(3), "data/table": np.zeros((3, 4))},
        {"layers/dense/vars/0": np.zeros((3, 4))},
        {},
    ],
)
def test_a_file_of_another_kind_is_one_sentence(tmp_path, content):
    path = tmp_path / "vgg19.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in content.items():
            file[name] = array
    with pytest.raises(ValueError) as caught:
        weight_files.read(path, "vgg19")
    assert str(caught.value) == (
        f"weights file {path} has no Keras layers; pass Keras weights of vgg19."
    )


def test_flipped_bytes_are_refused_in_a_sentence_or_change_values(toy):
    whole = toy.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        spoiled = bytearray(whole)
        for place in rng.integers(0, len(whole), 40):
            spoiled[place] = rng.integers(256)
        toy.write_bytes(spoiled)
        try:
            weight_files.read(toy, "toy")
        except ValueError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("place", ["ours", "keras", "keras_home"])
def test_auto_finds_the_caches(toy, tmp_path, monkeypatch, place):
    folder = {
        "ours": files.find_cache(),
        "keras": Path.home() / ".keras" / "models",
        "keras_home": tmp_path / "elsewhere" / "models",
    }[place]
    if place == "keras_home":
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "elsewhere"))
    folder.mkdir(parents=True)
    toy.rename(folder / _name())
    assert str(folder) in weight_files.load("toy").origin


def test_a_damaged_file_in_a_cache_is_passed_over_and_kept(
    toy, server, monkeypatch
):
    host, _ = server
    folder = Path.home() / ".keras" / "models"
    folder.mkdir(parents=True)
    (folder / _name()).write_text("half a download")
    _publish(toy, host, monkeypatch)
    assert "downloaded" in weight_files.load("toy").origin
    assert (folder / _name()).read_text() == "half a download"


def test_what_is_wrong_with_each_place_is_said(toy, monkeypatch):
    damaged = Path.home() / ".keras" / "models" / _name()
    damaged.parent.mkdir(parents=True)
    damaged.write_text("half a download")
    monkeypatch.setattr(weight_files, "HOST", "http://127.0.0.1:9/none")
    with pytest.raises(ValueError, match="no weights for toy were") as raised:
        weight_files.load("toy")
    assert f"{damaged}" in str(raised.value)
    assert f"http://127.0.0.1:9/none/toy/{_name()}: " in str(raised.value)


def _publish(toy, host, monkeypatch, digest=None):
    content = toy.read_bytes()
    (host / _name()).write_bytes(content)
    digest = digest or hashlib.md5(content).hexdigest()
    _name_digest(monkeypatch, digest)


def test_downloads_once(toy, server, monkeypatch, caplog):
    host, handler = server
    _publish(toy, host, monkeypatch)
    caplog.set_level("INFO", "nst_tf")
    _check(weight_files.load("toy").layers)
    [said] = caplog.messages
    assert said.startswith("downloading http://localhost:")
    assert "our cache" in weight_files.load("toy").origin
    assert handler.hits == 1
    assert [p.name for p in files.find_cache().iterdir()] == [_name()]


def test_a_wrong_digest_leaves_no_file(toy, server, monkeypatch):
    host, handler = server
    _publish(toy, host, monkeypatch, "0" * 32)
    for _ in range(2):
        with pytest.raises(ValueError, match="no weights for toy .* MD5"):
            weight_files.load("toy")
    assert handler.hits == 2
    assert not list(files.find_cache().iterdir())


def test_a_network_that_keras_has_not_is_not_asked_for(toy, server):
    for source in ("auto", "imagenet"):
        with pytest.raises(ValueError, match="its MD5 digest is unknown"):
            weight_files.load("toy", source)
    assert not server[1].hits


def test_a_failure_is_no_obstacle_to_the_next_try(toy, server, monkeypatch):
    host, _ = server
    _name_digest(monkeypatch, "0" * 32)
    with pytest.raises(ValueError, match=f"put {_name()} into .*--weights="):
        weight_files.load("toy")
    _publish(toy, host, monkeypatch)
    _check(weight_files.load("toy").layers)


@pytest.mark.parametrize(
    "url", ["notaurl", "http://localhost:abc", "http://loc alhost", "ftp://"]
)
def test_an_address_that_is_none_is_said(toy, monkeypatch, url):
    monkeypatch.setattr(weight_files, "HOST", url)
    _name_digest(monkeypatch, "0" * 32)
    with pytest.raises(ValueError, match="no weights for toy") as caught:
        weight_files.load("toy")
    assert "no answer within" not in str(caught.value)


def test_a_silent_host_costs_at_most_four_seconds(toy, monkeypatch):
    _name_digest(monkeypatch, "0" * 32)
    with socket.create_server(("localhost", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr(weight_files, "HOST", f"http://localhost:{port}")
        start = time.monotonic()
        with pytest.raises(ValueError, match="no answer within 3 seconds"):
            weight_files.load("toy")
        assert time.monotonic() - start < 4


def test_a_host_that_cuts_the_file_off_is_noticed(toy, server, monkeypatch):
    host, _ = server
    _publish(toy, host, monkeypatch)
    whole = (host / _name()).read_bytes()
    (host / _name()).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="MD5"):
        weight_files.load("toy")


def test_nothing_listens_and_no_home_to_write_to(toy, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    _name_digest(monkeypatch, "0" * 32)
    with pytest.raises(ValueError, match="no weights for toy were found"):
        weight_files.load("toy")


def test_without_a_home_they_are_downloaded_and_not_kept(
    toy, server, monkeypatch, no_home, tmp_path
):
    host, handler = server
    _publish(toy, host, monkeypatch)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for _ in range(2):
        found = weight_files.load("toy")
        _check(found.layers)
        assert found.origin == "downloaded and not kept"
    assert handler.hits == 2
    assert not list(temporary.iterdir())
    with pytest.raises(ValueError, match="put vgg16_.*.h5 into a folder"):
        weight_files.load("vgg16")


def test_what_may_not_be_downloaded_is_named_with_its_size(
    toy, server, monkeypatch, caplog
):
    host, handler = server
    _publish(toy, host, monkeypatch)
    caplog.set_level("INFO", "nst_tf")
    found = weight_files.load_without_download("toy", "auto")
    assert found.is_missing
    assert found.origin == "not downloaded yet, 0 MB"
    assert "weights of toy are missing: a run downloads 0 MB" in caplog.text
    for name, pair in toys.weights().items():
        shapes = [array.shape for array in found.layers[name]]
        assert shapes == [array.shape for array in pair]
    assert not handler.hits
    weight_files.load("toy")
    assert not weight_files.load_without_download("toy", "auto").is_missing
    assert handler.hits == 1


@pytest.mark.parametrize(("network", "size"), [("vgg16", 59), ("vgg19", 80)])
def test_the_size_is_that_of_keras_file(network, size):
    assert round(weight_files.find_size(network)) == size
