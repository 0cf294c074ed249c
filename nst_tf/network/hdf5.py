"""HDF5 files of strangers: nothing beside the file is opened, or inflated far.

HDF5 follows links to other files, and takes values from other files, whatever
they are: a pipe would wait for ever. It inflates a compressed chunk as far as
that goes, whatever size the chunk is said to have.
"""

import itertools
import math
import zlib
from collections.abc import Iterator

import h5py
import numpy as np

MOST_CHUNKS = 4096  # of an array
CHUNK_BYTES = 1 << 20  # that any array may have in one
_DEFLATE = h5py.h5z.FILTER_DEFLATE
_FILTERS = {_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


def open_item(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    """Opens a group or an array that another group holds.

    Args:
        group: The group.
        name: One of `list(group)`.

    Raises:
        ValueError: If it is a link, or its values are in other files.
    """
    links = group.id.links
    # `group.get` would follow the link before it says what it is.
    kind = links.get_info(name.encode("utf-8", "surrogateescape")).type
    if kind != h5py.h5l.TYPE_HARD:
        raise ValueError(
            f"{name[:60]} is a link to another place or file, which is not "
            f"followed"
        )
    item = group[name]
    if isinstance(item, h5py.Dataset):
        made = item.id.get_create_plist()
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            raise ValueError(
                f"{name[:60]} has its values in other files, which are not read"
            )
    return item


def open_group(group: h5py.Group, name: str) -> h5py.Group:
    """Opens a group, as `open_item`.

    Raises:
        ValueError: As `open_item`, and if it is none.
    """
    item = open_item(group, name)
    if not isinstance(item, h5py.Group):
        raise ValueError(f"{name[:60]} is an array, expected a group")
    return item


def list_datasets(group: h5py.Group) -> Iterator[h5py.Dataset]:
    """Lists the arrays in a group and in the groups below it, unread.

    Raises:
        ValueError: As `open_item`.
    """
    groups, seen = [group], set()
    while groups:
        group = groups.pop()
        for name in group:
            item = open_item(group, name)
            place = h5py.h5o.get_info(item.id).addr
            if place in seen:  # a group may hold itself
                continue
            seen.add(place)
            if isinstance(item, h5py.Dataset):
                yield item
            elif isinstance(item, h5py.Group):
                groups.append(item)


def read_array(dataset: h5py.Dataset) -> np.ndarray:
    """Reads an array, whose shape and type are known to be right.

    Raises:
        ValueError: If it is compressed in an unusual way, or to more than its
            size.
    """
    if dataset.chunks is not None:
        _check_chunks(dataset)
    return np.asarray(dataset)


def _check_chunks(dataset: h5py.Dataset) -> None:
    """Inflates the chunks of an array, each to no more than its size."""
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
            "its arrays are stored in an unusual way, expected them plain or "
            "compressed by gzip; save it again"
        )
    size += 4  # a checksum
    for start in itertools.product(*starts):
        chunk = dataset.id.get_chunk_info_by_coord(start)
        if chunk.byte_offset is None or _DEFLATE not in filters:
            continue
        if chunk.filter_mask or chunk.size > size + size // 100 + 1024:
            raise ValueError("a compressed array has an absurd size")
        _, data = dataset.id.read_direct_chunk(start)
        if len(zlib.decompressobj().decompress(data, size + 1)) > size:
            raise ValueError(
                "a compressed array inflates to more than its size"
            )
