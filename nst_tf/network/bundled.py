"""The networks that ship in nst_tf/data: VGG19, and a narrow one.

Both files are NumPy's, read without pickle, checked by their SHA-256, and
unpacked to float32. nst_tf/data/README.md says what they are;
scripts/pack_vgg19.py and scripts/distill.py make them.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np  # at run time when a file is read: --help needs none

Layers = Mapping[str, tuple["np.ndarray", "np.ndarray"]]  # kernel, bias


class Bundled(NamedTuple):
    """A file that ships, and how it is known."""

    path: Path
    sha256: str  # of the file
    digest: str  # of what is in it, unpacked, as a picture's record has it


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
        ValueError: If the file is missing, or not the one with its digest.
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
    """Reads the narrow VGG19, and its projections to VGG19's channels.

    Returns:
        A kernel, [3, 3, in, c], and a bias, [c], by layer; and by layer a
        projection, [c, C].

    Raises:
        ValueError: If the file is missing, or not the one with its digest.
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
    """Reads the arrays of a file that is as it was shipped."""
    import numpy as np

    again = "install nst_tf again, or name other weights with --weights=PATH."
    try:
        data = file.path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"a network that ships with nst_tf cannot be read, {error}; {again}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise ValueError(
            f"{file.path}, a network that ships with nst_tf, is damaged: its "
            f"SHA-256 digest is {digest}, expected {file.sha256}; {again}"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)
