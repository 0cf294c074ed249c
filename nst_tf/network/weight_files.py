"""Network weights: where they are found, fetched, and how they are read.

Everything here works without TensorFlow, so that a wrong file is refused
before it is imported.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from nst_tf import errors, files
from nst_tf.network import architectures, bundled

# Where Keras itself downloads from, and what it calls the files.
HOST = "https://storage.googleapis.com/tensorflow/keras-applications"

Layers = bundled.Layers


class NetworkWeights(NamedTuple):
    """The weights of a network, and where they came from."""

    layers: Layers  # name -> kernel [3, 3, in, out], bias [out]
    origin: str  # for people: a path, or how it was found
    projections: Mapping[str, np.ndarray] | None = None  # of a narrow network


def load(
    network: str,
    source: str = "auto",
    *,
    say: Callable[[str], None] = lambda line: None,
) -> NetworkWeights:
    """Finds and reads the weights of a network.

    Args:
        network: A key of `architectures.NETWORKS`.
        source: The path of an HDF5 file as Keras writes it; "auto": the VGG19
            that ships with this package, and for other networks as "imagenet";
            "small": the narrow VGG19 that ships; "imagenet": Keras's file, from
            our cache, Keras's cache, or a download.
        say: Is told, in a line, that a download begins.

    Returns:
        The weights, float32.

    Raises:
        ValueError: If there are none, or the file is not of this network.
    """
    known = architectures.NETWORKS[network]
    if source == "small":
        return _load_small(network, known.small)
    if source == "auto" and known.shipped:
        return NetworkWeights(
            bundled.read_vgg19(known.shipped), "which ships with nst_tf"
        )
    if source not in ("auto", "imagenet"):
        return NetworkWeights(
            read(Path(os.path.expanduser(source)), network), source
        )
    reasons = []
    for path, name in _places(network):
        try:
            return NetworkWeights(read(path, network), f"{name}, {path}")
        except ValueError as error:
            if path.exists():
                reasons.append(str(error))
    if known.keras_md5:
        try:
            path = _fetch(network, known.keras_md5, say)
            return NetworkWeights(read(path, network), f"downloaded to {path}")
        except OSError as error:
            reasons.append(f"{_url(network)}: {error}.")
    else:
        reasons.append(f"Keras has no weights for {network}.")
    raise ValueError(
        f"no weights for {network} were found; put {_file_name(network)} into "
        f"{files.cache_folder()}, name the file with --weights=PATH, or use "
        f"the weights that ship with nst_tf, by "
        f"--extractor={_find_shipped('shipped')} and --weights=auto. "
        f"({' '.join(reasons)})"
    )


def _load_small(network: str, file: bundled.Bundled | None) -> NetworkWeights:
    """Reads the narrow network that ships."""
    if file is None:
        other = _find_shipped("small")
        raise ValueError(
            f"weights is 'small', which is a small {other}, but the extractor "
            f"is {network}; use --extractor={other}, or name other weights "
            f"with --weights=PATH."
        )
    layers, projections = bundled.read_small(file)
    return NetworkWeights(
        layers, "the small one that ships with nst_tf", projections
    )


def _find_shipped(kind: str) -> str:
    """Finds the networks whose weights ship."""
    known = architectures.NETWORKS.items()
    return errors.list_choices([n for n, each in known if getattr(each, kind)])


def read(path: Path, network: str) -> Layers:
    """Reads the convolutions of a network from a file that Keras wrote.

    Files with and without the classifier, of Keras 2 and 3, whole models or
    weights only, are told apart by what is in them, not by their name.

    Args:
        path: An HDF5 file.
        network: A key of `architectures.NETWORKS`.

    Returns:
        For each layer its kernel, [3, 3, in, out], and its bias, [out].

    Raises:
        ValueError: If the file is missing, damaged, or of another network.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected an HDF5 weights file.")
    if not path.exists():
        raise ValueError(f"there is no weights file {path}.")
    if not path.is_file() or not h5py.is_hdf5(path):
        raise ValueError(
            f"{path} is not an HDF5 file, as Keras writes weights to (.h5)."
        )
    try:
        with h5py.File(path) as file:
            found = _find(file, network)
            mistake = _mistake(found, network)
            arrays = {} if mistake else _arrays(found)
    except Exception as error:  # a damaged file raises anything
        raise ValueError(
            f"weights file {path} is damaged: {str(error).rstrip('.')}."
        ) from error
    if mistake:
        raise ValueError(f"weights file {path} is not of {network}: {mistake}.")
    for name, (kernel, bias) in arrays.items():
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(
                f"weights file {path} is damaged: {name} has values that are "
                f"not numbers (NaN)."
            )
    return arrays


def _places(network: str) -> list[tuple[Path, str]]:
    """Lists the files to try before a download, with their names."""
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    name = _file_name(network)
    return [
        (files.cache_folder() / name, "our cache"),
        (keras / "models" / name, "Keras's cache"),
    ]


def _file_name(network: str) -> str:
    """The name of the file on Keras's host."""
    return f"{network}_weights_tf_dim_ordering_tf_kernels_notop.h5"


def _url(network: str) -> str:
    """The address of the file."""
    return f"{HOST}/{network}/{_file_name(network)}"


def _fetch(network: str, md5: str, say: Callable[[str], None]) -> Path:
    """Downloads the weights into our cache."""
    folder = files.cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _file_name(network)
    say(f"downloading {_url(network)} (80 MB) to {folder} ...")
    download(_url(network), path, md5)
    return path


def download(url: str, path: Path, md5: str) -> None:
    """Downloads a file, in one move, if its digest is right.

    Args:
        url: Address of the file.
        path: Where to; its folder exists.
        md5: The digest expected, in hexadecimal.

    Raises:
        OSError: If the address is none, the host does not answer within
            `files.FIRST_BYTE_SECONDS`, stops, or sends something else.
            Nothing is left.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with files.write_atomically(path) as file:
        for chunk in files.download(url):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != md5:
            raise OSError(
                f"what was sent has the MD5 digest {digest.hexdigest()}, "
                f"expected {md5}"
            )


Datasets = Mapping[str, dict[int, h5py.Dataset]]


def _find(file: h5py.File, network: str) -> Datasets:
    """Finds the datasets of every convolution: by layer, by dimensions."""
    root = file.get("model_weights", file)
    if "layers" in root:  # Keras 3's .weights.h5 numbers layers by class
        names = [
            layer.name for layer in architectures.list_convolutions(network)
        ]
        numbered = {
            int(found[1] or 0): root["layers"][key]
            for key in root["layers"]
            if (found := re.fullmatch(r"conv2d(?:_(\d+))?", key))
        }
        groups = {
            names[i] if i < len(names) else f"convolution {i + 1}": group
            for i, (_, group) in enumerate(sorted(numbered.items()))
        }
    else:
        groups = {name: root[name] for name in root if "_conv" in name}
    return {name: _datasets(group) for name, group in groups.items()}


def _datasets(group: h5py.Group) -> dict[int, h5py.Dataset]:
    """The datasets of a layer, by their number of dimensions."""
    found: dict[int, h5py.Dataset] = {}

    def take(_: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            found[item.ndim] = item

    group.visititems(take)
    return found


def _mistake(found: Datasets, network: str) -> str:
    """Says what is wrong with the layers of a file, or nothing."""
    expected = {
        layer.name: {
            4: (3, 3, layer.in_channels, layer.out_channels),
            1: (layer.out_channels,),
        }
        for layer in architectures.list_convolutions(network)
    }
    shapes = {
        name: {ndim: data.shape for ndim, data in datasets.items()}
        for name, datasets in found.items()
    }
    for name in [*expected, *shapes]:
        if expected.get(name) != shapes.get(name):
            has, wants = (
                " and ".join(map(str, layers.get(name, {}).values()))
                for layers in (shapes, expected)
            )
            return f"for {name} it has {has or 'nothing'}, expected " + (
                wants or "nothing"
            )
    kinds = {
        data.dtype for datasets in found.values() for data in datasets.values()
    }
    if wrong := [kind for kind in kinds if kind.kind != "f"]:
        return f"it has values of type {wrong[0]}, expected floats"
    return ""


def _arrays(found: Datasets) -> Layers:
    """Reads the kernels and biases."""
    return {
        name: (
            np.asarray(datasets[4], np.float32),
            np.asarray(datasets[1], np.float32),
        )
        for name, datasets in found.items()
    }
