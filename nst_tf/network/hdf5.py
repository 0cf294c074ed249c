"""Reads untrusted HDF5 files without links and decompression bombs.

HDF5 follows links to other files and reads values from other files, even from
pipes, which may block. It also inflates a compressed chunk beyond its declared
size.
"""

import itertools
import math
import zlib
from collections.abc import Iterator

import h5py
import numpy as np

MOST_CHUNKS = 4096  # of an array
CHUNK_BYTES = 1 << 20  # always allowed size of a chunk
_DEFLATE = h5py.h5z.FILTER_DEFLATE
_FILTERS = {_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


def open_item(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """Opens a group or an array in a group.

    Args:
        group: The group.
        name: One of `list(group)`.

    Raises:
        ValueError: If it is a link, or its values are in other files.
    """
    links = group.id.links
    # `group.get` would follow the link.
    kind = links.get_info(name.encode("utf-8", "surrogateescape")).type
    if kind != h5py.h5l.TYPE_HARD:
        raise ValueError(
            f"{name[:60]} is a link, which is not followed for safety"
        )
    item = group[name]
    if isinstance(item, h5py.Dataset):
        made = item.id.get_create_plist()
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            raise ValueError(
                f"{name[:60]} has its values in other files, which are not "
                "read for safety"
            )
    return item


def open_group(group: h5py.Group, name: str) -> h5py.Group:
    """Opens a group, as `open_item`.

    Raises:
        ValueError: As `open_item`, and if it is not a group.
    """
    item = open_item(group, name)
    if not isinstance(item, h5py.Group):
        raise ValueError(f"{name[:60]} is an array, expected a group")
    return item


def list_datasets(group: h5py.Group) -> Iterator[h5py.Dataset]:
    """Yields the arrays in a group and its subgroups, unread.

    Raises:
        ValueError: As `open_item`.
    """
    groups, seen = [group], set()
    while groups:
        group = groups.pop()
        for name in group:
            item = open_item(group, name)
            place = h5py.h5o.get_info(item.id).addr
            if place in seen:  # a group may contain itself
                continue
            seen.add(place)
            if isinstance(item, h5py.Dataset):
                yield item
            elif isinstance(item, h5py.Group):
                groups.append(item)


def read_array(dataset: h5py.Dataset) -> np.ndarray:
    """Reads an array whose shape and type are already checked.

    Raises:
        ValueError: If its compression is unsupported, or a chunk inflates to
            more than its declared size.
    """
    if dataset.chunks is not None:
        _check_chunks(dataset)
    return np.asarray(dataset)


def _check_chunks(dataset: h5py.Dataset) -> None:
    """Checks that no chunk of an array inflates to more than its size."""
    made = dataset.id.get_create_plist()
    filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    starts = [
        range(0, length, step)
        for length, step in zip(dataset.shape, dataset.chunks, strict=True)
    ]
    if (
        set(filters) - _FILTERS
        or len(filters) > len(set(filters))
        or size > max(CHUNK_BYTES, dataset.nbytes)
        or math.prod(map(len, starts)) > MOST_CHUNKS
    ):
        raise ValueError(
            "its arrays are stored in an unsupported way, expected "
            "uncompressed or gzip"
        )
    size += 4  # a checksum
    for start in itertools.product(*starts):
        chunk = dataset.id.get_chunk_info_by_coord(start)
        if chunk.byte_offset is None or _DEFLATE not in filters:
            continue
        if chunk.filter_mask or chunk.size > size + size // 100 + 1024:
            raise ValueError("a compressed array is too large")
        _, data = dataset.id.read_direct_chunk(start)
        if len(zlib.decompressobj().decompress(data, size + 1)) > size:
            raise ValueError(
                "a compressed array inflates to more than its size"
            )
