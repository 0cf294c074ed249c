"""Finds, downloads and reads network weights.

Nothing here imports TensorFlow, so that a wrong file fails early.
"""

import contextlib
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from nst_tf import display, errors, files, urls
from nst_tf.network import architectures, bundled, hdf5, loaded

log = logging.getLogger("nst_tf")

# Keras's own download server.
HOST = "https://storage.googleapis.com/tensorflow/keras-applications"
LARGEST_DOWNLOAD = 1 << 27  # bytes; VGG19 has 80 MB
LARGEST_FILE = 1 << 31  # bytes; VGG19 with its classifier has 0.6 GB
DOWNLOAD_SECONDS = 3600.0

Layers = bundled.Layers


class NetworkWeights(NamedTuple):
    """The weights of a network, with their origin."""

    layers: Layers  # name -> kernel [3, 3, in, out], bias [out]
    origin: str  # for messages: a path or a description
    projections: Mapping[str, np.ndarray] | None = None  # of a small network
    is_missing: bool = False  # `layers` are random, of the right shapes
    file_digest: str = ""  # of a user's file, "sha256:..."


def load(network: str, source: str = "auto") -> NetworkWeights:
    """Finds and reads the weights of a network; downloads them if needed.

    Args:
        network: A key of `architectures.NETWORKS`.
        source: The path of a Keras HDF5 file; "auto": the bundled weights, or
            "imagenet" for networks without any; "small": the bundled small
            VGG19; "imagenet": Keras's file, from our cache, Keras's cache, or a
            download.

    Returns:
        The weights, float32.

    Raises:
        ValueError: If no weights are found, or the file is for another network.
    """
    return _load(network, source, may_download=True)


def load_without_download(network: str, source: str) -> NetworkWeights:
    """Reads the weights of a network, as `load`, without downloads.

    Instead of weights that need a download it returns random ones of the same
    shapes, with a note.
    """
    return _load(network, source, may_download=False)


def _load(network: str, source: str, may_download: bool) -> NetworkWeights:
    """Reads the weights of a network, as `load`."""
    known = architectures.NETWORKS[network]
    if source == "small":
        if known.small is None:
            other = _name_networks("small")
            raise ValueError(
                f"--weights is 'small', which is a small {other}, but the "
                f"extractor is {network}; use --extractor={other}, or name "
                f"other weights with --weights=PATH."
            )
        small = known.small
        found = loaded.read_once(small.path, lambda: bundled.read_small(small))
        return NetworkWeights(found, "small, bundled", found.projections)
    if source == "auto" and known.shipped:
        shipped = known.shipped
        found = loaded.read_once(
            shipped.path, lambda: (bundled.read_vgg19(shipped), None)
        )
        return NetworkWeights(found, "bundled")
    if source not in ("auto", "imagenet"):
        if urls.has_scheme(source):
            raise ValueError(
                f"--weights is the address {urls.show_address(source)}, "
                f"expected an HDF5 file; download it first."
            )
        path = Path(os.path.expanduser(source))
        found = loaded.read_once(
            path, lambda: (read(path, network), None), network
        )
        digest = files.digest_file(path)
        return NetworkWeights(found, source, file_digest=digest)
    return _load_keras(network, known.keras_md5, may_download)


def _load_keras(network: str, md5: str, may_download: bool) -> NetworkWeights:
    """Reads Keras's file, from a cache or its host."""
    name = f"{network}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    ours, home = files.find_cache(), files.find_home()
    base = os.environ.get("KERAS_HOME")
    keras = Path(base) if base else home and home / ".keras"
    reasons = []
    for folder, place in (
        (ours, "our cache"),
        (keras and keras / "models", "Keras's cache"),
    ):
        if folder is None:
            continue
        path = folder / name
        try:
            return NetworkWeights(read(path, network), f"{place}, {path}")
        except ValueError as error:
            if path.exists():
                reasons.append(str(error))
    url = f"{HOST}/{network}/{name}"
    if md5 and not may_download:
        return _make_missing(network, url)
    try:
        with contextlib.ExitStack() as stack:
            folder = files.make_cache()
            kept = f"to {folder / name}" if folder else "and not kept"
            folder = folder or Path(
                stack.enter_context(tempfile.TemporaryDirectory())
            )
            path = _download(url, folder, md5, find_size(network))
            return NetworkWeights(read(path, network), f"downloaded {kept}")
    except OSError as error:
        reasons.append(f"{url}: {error}.")
    raise ValueError(
        f"no weights for {network} were found; put {name} into "
        f"{ours or 'a folder'}, name the file with --weights=PATH, or use the "
        f"weights that ship with nst_tf, by "
        f"--extractor={_name_networks('shipped')} and --weights=auto. "
        f"({' '.join(reasons)})"
    )


def find_size(network: str) -> float:
    """Computes the size of a network's weights, in MB, as Keras's file."""
    layers = architectures.list_convolutions(network)
    values = [(9 * e.in_channels + 1) * e.out_channels for e in layers]
    return 4 * sum(values) / 1e6


def _make_missing(network: str, url: str) -> NetworkWeights:
    """Makes random weights for planning, instead of a missing file."""
    size = find_size(network)
    log.info(
        "the weights of %s are missing: a run downloads %.0f MB from %s, "
        "--dry_run does not",
        network,
        size,
        url,
    )
    rng = np.random.default_rng(0)
    layers = {
        each.name: (
            rng.normal(
                0,
                np.sqrt(
                    2 / 9 / each.in_channels
                ),  # keeps the scale of features
                (3, 3, each.in_channels, each.out_channels),
            ).astype("f4"),
            np.zeros(each.out_channels, "f4"),
        )
        for each in architectures.list_convolutions(network)
    }
    origin = f"not downloaded yet, {size:.0f} MB"
    return NetworkWeights(layers, origin, is_missing=True)


def _download(url: str, folder: Path, md5: str, size: float) -> Path:
    """Downloads a file into a folder; leaves nothing if its digest is wrong."""
    if not md5:
        raise OSError("its MD5 digest is unknown")
    log.info("downloading %s (%.0f MB) to %s ...", url, size, folder)
    digest = hashlib.md5(usedforsecurity=False)
    path = folder / url.rpartition("/")[-1]
    with files.write_atomically(path) as file:
        for chunk in urls.download(
            url,
            limit=LARGEST_DOWNLOAD,
            seconds=DOWNLOAD_SECONDS,
            report=display.follow_download(path.name),
        ):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != md5:
            raise OSError(
                f"the downloaded file has the MD5 digest {digest.hexdigest()}, "
                f"expected {md5}"
            )
    return path


def _name_networks(kind: str) -> str:
    """Lists the networks with bundled weights."""
    known = architectures.NETWORKS.items()
    return errors.list_choices([n for n, each in known if getattr(each, kind)])


def read(path: Path, network: str) -> Layers:
    """Reads the convolutions of a network from a Keras file.

    It supports files of Keras 2 and 3, with and without classifier, whole
    models or weights only, and detects the kind from the contents.

    Args:
        path: An HDF5 file.
        network: A key of `architectures.NETWORKS`.

    Returns:
        Layer -> kernel, [3, 3, in, out], and bias, [out].

    Raises:
        ValueError: If the file is missing, damaged, or of another network.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected an HDF5 weights file.")
    if not path.exists():
        raise ValueError(
            f"there is no weights file {path}"
            + (errors.find_near_file(path) or "; check its name and folder.")
        )
    if not path.is_file() or not h5py.is_hdf5(path):
        raise ValueError(
            f"{path} is not an HDF5 file; expected Keras weights (.h5)."
        )
    try:
        with h5py.File(path) as file:
            found = _find(file, network)
            mistake = _describe_mistake(found, network)
            layers = {} if mistake else _read_layers(found)
    except Exception as error:  # damaged files raise all kinds of errors
        raise ValueError(
            f"weights file {path} is damaged: {str(error).rstrip('.')}; save "
            "or download it again."
        ) from error
    if not found:
        raise ValueError(
            f"weights file {path} has no Keras layers; pass Keras weights of "
            f"{network}."
        )
    if mistake:
        raise ValueError(
            f"weights file {path} is not for {network}: {mistake}; pass "
            "another file, or another --extractor."
        )
    for name, pair in layers.items():
        if not all(np.isfinite(array).all() for array in pair):
            raise ValueError(
                f"weights file {path} is damaged: {name} has NaN or infinite "
                "values; save or download it again."
            )
    return layers


# Layer -> number of dimensions -> array.
Arrays = Mapping[str, dict[int, h5py.Dataset]]


def _find(file: h5py.File, network: str) -> Arrays:
    """Finds the arrays of every convolution, unread."""
    root = file
    for key in ("model_weights", "layers"):
        if key in list(root):
            root = hdf5.open_item(root, key)
        if not isinstance(root, h5py.Group):
            return {}
    if root.name.endswith(
        "layers"
    ):  # Keras 3's .weights.h5 numbers layers by class
        names = [
            layer.name for layer in architectures.list_convolutions(network)
        ]
        numbered = {
            int(match[1] or 0): hdf5.open_group(root, key)
            for key in root
            if (match := re.fullmatch(r"conv2d(?:_(\d+))?", key))
        }
        groups = {
            names[i] if i < len(names) else f"convolution {i + 1}": group
            for i, (_, group) in enumerate(sorted(numbered.items()))
        }
    else:
        groups = {
            name: hdf5.open_group(root, name)
            for name in root
            if "_conv" in name
        }
    return {
        name: {item.ndim: item for item in hdf5.list_datasets(group)}
        for name, group in groups.items()
    }


def _read_layers(found: Arrays) -> Layers:
    """Reads the kernel and the bias of each layer."""
    return {
        name: (
            np.asarray(hdf5.read_array(arrays[4]), "f4"),
            np.asarray(hdf5.read_array(arrays[1]), "f4"),
        )
        for name, arrays in found.items()
    }


def _describe_mistake(found: Arrays, network: str) -> str:
    """Describes the first wrong layer of a file; empty if all are right."""
    expected = {
        layer.name: {
            4: (3, 3, layer.in_channels, layer.out_channels),
            1: (layer.out_channels,),
        }
        for layer in architectures.list_convolutions(network)
    }
    shapes = {
        name: {ndim: array.shape for ndim, array in arrays.items()}
        for name, arrays in found.items()
    }
    for name in [*expected, *shapes]:
        if expected.get(name) != shapes.get(name):
            has, wants = (
                " and ".join(map(str, layers.get(name, {}).values()))
                or "nothing"
                for layers in (shapes, expected)
            )
            return f"for {name[:60]} it has {has}, expected {wants}"
    for arrays in found.values():
        for array in arrays.values():
            if array.dtype.kind != "f":
                return f"it has values of type {array.dtype}, expected floats"
    return ""
