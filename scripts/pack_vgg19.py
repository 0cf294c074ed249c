"""Packs VGG19 into the file that ships, nst_tf/data/vgg19.npz.

    python scripts/pack_vgg19.py vgg19_notop.h5

reads any weights file of VGG19 that Keras wrote. Kernels of blocks 1 to 3, a
tenth of all values and nearest to the pixels, are kept in float16; those of
blocks 4 and 5 in 8 bits, by a codebook of 256 floats for each layer that has
the least squared error. It prints the relative error of each layer, the size of
the file, and the digests that nst_tf/network/bundled.py has to have.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nst_tf.network import bundled, weight_files  # noqa: E402
from nst_tf.runs import resume  # noqa: E402

CODES = 256  # of a layer in 8 bits
GROUPS = 4096  # of neighboring values, which are cut into codes exactly
DEEP = ("block4", "block5")  # in 8 bits


def main() -> int:
    """Reads the command line, writes the file, prints the errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("weights", type=Path, help="HDF5 file of Keras")
    parser.add_argument("--output", type=Path, default=Path("vgg19.npz"))
    options = parser.parse_args()
    layers = weight_files.read(options.weights, "vgg19")
    sha256 = write(options.output, layers)
    file = bundled.Bundled(options.output, sha256, "")
    packed = bundled.read_vgg19(file)
    for name, (kernel, _) in layers.items():
        error = np.linalg.norm(packed[name][0] - kernel)
        print(f"{name}  {error / np.linalg.norm(kernel):.2e}")
    print(f"{options.output}, {options.output.stat().st_size / 1e6:.1f} MB")
    print(f"SHA-256 of the file     {sha256}")
    network = weight_files.NetworkWeights(packed, "")
    print(f"digest of its weights   {resume.digest_weights(network)}")
    return 0


def write(path: Path, layers: bundled.Layers) -> str:
    """Writes layers as `bundled.read_vgg19` reads them.

    Returns:
        The SHA-256 digest of the file, in hexadecimal.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, (kernel, bias) in layers.items():
        if name.startswith(DEEP):
            codebook, indices = quantize(kernel)
            arrays[f"{name}/codebook"] = codebook
            arrays[f"{name}/indices"] = indices
        else:
            arrays[f"{name}/kernel"] = kernel.astype(np.float16)
        arrays[f"{name}/bias"] = bias.astype(np.float32)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return hashlib.sha256(path.read_bytes()).hexdigest()


def quantize(
    values: np.ndarray, codes: int = CODES, groups: int = GROUPS
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the codebook of least squared error: k-means in one dimension.

    In one dimension clusters are intervals, so that dynamic programming finds
    the best ones. Values are first put into groups of neighbors, of which the
    cuts are chosen; Lloyd's iterations on all values then move the cuts within
    the groups.

    Args:
        values: Of any shape.
        codes: Entries of the codebook, at most 256.
        groups: How finely cuts are looked for.

    Returns:
        The codebook, [codes], ascending, float32, and the index of each value,
        uint8, of the shape of `values`.
    """
    flat = np.sort(values.ravel().astype(np.float64))
    distinct = np.unique(flat)
    if len(distinct) <= codes:
        codebook = np.resize(distinct, codes)
        codebook[len(distinct) :] = distinct[-1]
    else:
        codebook = _lloyd(flat, _cut(flat, codes, min(groups, len(flat))))
    middles = (codebook[1:] + codebook[:-1]) / 2
    indices = np.searchsorted(middles, values.astype(np.float64))
    return codebook.astype(np.float32), indices.astype(np.uint8)


def _cut(flat: np.ndarray, codes: int, groups: int) -> np.ndarray:
    """Cuts sorted values into clusters between groups; their means."""
    # Half of the groups are even in number, half in width: tails are thin.
    by_number = np.linspace(0, len(flat), groups // 2 + 1).astype(int)
    width = np.linspace(flat[0], flat[-1], groups // 2 + 1)[1:-1]
    edges = np.union1d(by_number, np.searchsorted(flat, width))
    count = np.diff(edges).astype(float)
    sums = np.add.reduceat(flat, edges[:-1])
    # Squared error of groups i to j as one cluster, by running sums; what all
    # clusters have in common, the sum of squares, is left out.
    counts, totals = (
        np.concatenate([[0.0], np.cumsum(each)]) for each in (count, sums)
    )
    number = counts[None, :] - counts[:, None]
    total = totals[None, :] - totals[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.where(number > 0, -(total**2) / number, np.inf)
    best = cost[0]
    starts = []
    for _ in range(codes - 1):
        through = best[:, None] + cost
        starts.append(through.argmin(axis=0))
        best = through.min(axis=0)
    cuts = [len(count)]
    for start in reversed(starts):
        cuts.append(int(start[cuts[-1]]))
    ends = np.unique([0, *cuts])
    return np.diff(totals[ends]) / np.diff(counts[ends])


def _lloyd(flat: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Moves codes to the means of the sorted values nearest to them."""
    totals = np.concatenate([[0.0], np.cumsum(flat)])
    for _ in range(1000):
        middles = (codebook[1:] + codebook[:-1]) / 2
        cuts = np.concatenate(
            [[0], np.searchsorted(flat, middles), [len(flat)]]
        )
        number = np.diff(cuts)
        moved = np.where(
            number > 0, np.diff(totals[cuts]) / np.maximum(number, 1), codebook
        )
        if np.array_equal(moved, codebook):
            break
        codebook = moved
    return codebook


if __name__ == "__main__":
    sys.exit(main())
