"""Reads the bundled networks in nst_tf/data: VGG19, and a small one.

Both are NumPy files, read without pickle, checked by SHA-256, and converted to
float32. nst_tf/data/README.md describes them; scripts/pack_vgg19.py and
scripts/distill.py make them.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np  # imported late, so that --help is fast

Layers = Mapping[str, tuple["np.ndarray", "np.ndarray"]]  # kernel, bias


class Bundled(NamedTuple):
    """A bundled file, with its digests."""

    path: Path
    sha256: str  # of the file
    digest: str  # of its unpacked arrays, as in records


_DATA = Path(__file__).parents[1] / "data"
VGG19 = Bundled(
    _DATA / "vgg19.npz",
    "6120523ac961b53967d7ce1c1517afae94d95311538a3c3f6ac8100d2a2d6afa",
    "sha256:a4c46f8d1b16e28cb7bee03bdbc809dad1194675e006666a0bb91b25ddaa62d1",
)
SMALL = Bundled(
    _DATA / "vgg19_small.npz",
    "2eba8765970bbc7b3cc1a95230bb715c811ca8032e6f9da26d7f59951b64ab55",
    "sha256:fd05a0a16e22b6daaba3cbdccc8486bbc5af6ad3afd8a8d49ccbf5aff0c8bfa9",
)


def read_vgg19(file: Bundled = VGG19) -> Layers:
    """Reads VGG19: a kernel, [3, 3, in, out], and a bias, [out], by layer.

    Kernels are float16, or 8-bit indices into a codebook of 256 floats.

    Raises:
        ValueError: If the file is missing or damaged.
    """
    import numpy as np

    arrays = _read(file)
    names = [key.removesuffix("/bias") for key in arrays if "/bias" in key]
    return {
        name: (
            arrays[f"{name}/kernel"].astype(np.float32)
            if f"{name}/kernel" in arrays
            else arrays[f"{name}/codebook"][arrays[f"{name}/indices"]],
            arrays[f"{name}/bias"],
        )
        for name in names
    }


def read_small(
    file: Bundled = SMALL,
) -> tuple[Layers, Mapping[str, "np.ndarray"]]:
    """Reads the small VGG19, and its projections to VGG19's channels.

    Returns:
        Layer -> kernel, [3, 3, in, c], and bias, [c]; layer -> projection, [c,
        C].

    Raises:
        ValueError: If the file is missing or damaged.
    """
    arrays = _read(file)
    names = [key.removesuffix(".bias") for key in arrays if ".bias" in key]

    def scale(name: str) -> "np.ndarray":
        return arrays[name] * arrays[f"{name}_scale"]

    layers = {
        name: (scale(f"{name}.kernel"), arrays[f"{name}.bias"])
        for name in names
    }
    return layers, {name: scale(f"{name}.projection") for name in names}


def _read(file: Bundled) -> "dict[str, np.ndarray]":
    """Reads the arrays of a bundled file, after checking its digest."""
    import numpy as np

    again = "reinstall nst_tf, or pass other weights with --weights=PATH."
    try:
        data = file.path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"the bundled network cannot be read, {error}; {again}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise ValueError(
            f"the bundled network {file.path} is damaged: its SHA-256 digest "
            f"is {digest}, expected {file.sha256}; {again}"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)
