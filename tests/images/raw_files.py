"""PNG files and color profiles byte by byte, after their specifications."""

import struct
import zlib

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(name, data):
    """A chunk of a PNG file, with its checksum."""
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check


def png_header(width, height, bits=8, channels=3):
    """The data of IHDR."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0)


def png(header, data, *chunks, after=()):
    """A PNG file of chunks, (name, data), before and after the samples."""
    parts = [
        (b"IHDR", header),
        *chunks,
        (b"IDAT", data),
        *after,
        (b"IEND", b""),
    ]
    return PNG + b"".join(chunk(*part) for part in parts)


def png_of(samples, *chunks):
    """A PNG file of samples, [H, W, C] of 8 or 16 bits, C from 1 to 4."""
    height, width, channels = samples.shape
    header = png_header(width, height, 8 * samples.itemsize, channels)
    numbers = samples.astype(samples.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in numbers)
    return png(header, zlib.compress(rows), *chunks)


def icc_chunk(profile):
    """The chunk of a PNG file that holds a color profile."""
    return b"iCCP", b"icc\0\0" + zlib.compress(profile)


def fixed(*values):
    """Numbers as s15Fixed16."""
    whole = (min(round(65536 * value), 2**31 - 1) for value in values)
    return struct.pack(f">{len(values)}i", *whole)


def xyz(*values):
    """A tag 'XYZ '."""
    return b"XYZ " + bytes(4) + fixed(*values)


def curv(*values):
    """A tag 'curv': a gamma in 256ths, or a table of 16 bits."""
    return struct.pack(f">4s4xI{len(values)}H", b"curv", len(values), *values)


def para(kind, *values):
    """A tag 'para'."""
    return struct.pack(">4s4xH2x", b"para", kind) + fixed(*values)


def rgb_tags(colors, curves):
    """The tags of a profile of three primaries and three curves."""
    tags = {
        b"%cXYZ" % c: color for c, color in zip(b"rgb", colors, strict=True)
    }
    return tags | {
        b"%cTRC" % c: curve for c, curve in zip(b"rgb", curves, strict=True)
    }


def profile(
    tags, space=b"RGB ", *, version=2, to=b"XYZ ", kind=b"mntr", count=None
):
    """A color profile of tags, of which it says to have `count`."""
    place = 132 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags) if count is None else count), b""
    for name, tag in tags.items():
        table += struct.pack(">4s2I", name, place + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    header = struct.pack(
        ">I4xI4s4s4s6H4s28x12s48x",
        *(place + len(data), version << 24, kind, space, to),
        *(2000, 1, 1, 0, 0, 0),
        *(b"acsp", fixed(0.9642, 1, 0.8249)),
    )
    return header + table + data
