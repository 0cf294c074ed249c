"""Picture files and color profiles byte by byte, after their specifications."""

import struct
import zlib

import numpy as np

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


# First row and column of each pass, and the steps (PNG, section 8.2).
ADAM7 = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)),
    *((0, 1, 2, 2), (1, 0, 2, 1)),
)


def png_with(samples, bits, kind, *chunks, interlaced=False):
    """A PNG file of samples, [H, W, C]."""
    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(
        b"\0" + row
        for top, left, down, right in passes
        for row in pack(samples[top::down, left::right], bits)
    )
    how = bits, kind, 0, 0, int(interlaced)
    header = struct.pack(">2I5B", width, height, *how)
    return png(header, zlib.compress(rows), *chunks)


def pack(samples, bits):
    """The bytes of each row of samples, [H, W, C], of 1 to 16 bits."""
    rows = samples.reshape(len(samples), -1)
    if not rows.size:
        return []
    if bits >= 8:
        return [row.astype(f">u{bits // 8}").tobytes() for row in rows]
    shifts = np.arange(bits)[::-1]
    ones = (rows[..., None] >> shifts & 1).reshape(len(rows), -1)
    return [row.tobytes() for row in np.packbits(ones, axis=-1)]


def bmp(samples, bits, **options):
    """A BMP file of samples, [H, W] or [H, W, C] in the order of the file."""
    height, width = samples.shape[:2]
    if bits == 16:
        rows = [row.astype("<u2").tobytes() for row in samples]
    else:
        rows = pack(samples, bits if samples.ndim == 2 else 8)
    rows = [row + bytes(-len(row) % 4) for row in rows]
    return bmp_of(b"".join(rows[::-1]), (height, width), bits, **options)


def bmp_of(data, size, bits, header=40, packing=0, masks=(), palette=b""):
    """A BMP file of data as they stand in it, the lowest row first."""
    height, width = size
    if header == 12:
        info = struct.pack("<I4H", 12, width, height, 1, bits)
    else:
        numbers = packing, len(data), 2835, 2835, 0, 0
        info = struct.pack("<Iii2H", header, width, height, 1, bits)
        info += struct.pack(f"<IIiiII{len(masks)}I", *numbers, *masks)
        if header > 40:
            info += b"BGRs" + bytes(header - len(info) - 4)
    start = 14 + len(info) + len(palette)
    name = struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start)
    return name + info + palette + data


TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B"}


def tiff(data, tags, counts=(), next_directory=0):
    """Assembles a TIFF file of one page, as `directory`."""
    return tiff_head() + directory(8, data, tags, counts, next_directory)


def tiff_head(order="<", big=False):
    """The first bytes of a TIFF file, whose first directory is behind them."""
    start = b"II" if order == "<" else b"MM"
    if big:
        return start + struct.pack(f"{order}3HQ", 43, 8, 0, 16)
    return start + struct.pack(f"{order}HI", 42, 8)


def tiff_of(*pages, order="<", big=False):
    """Assembles a TIFF file of pages, (data, tags) each."""
    file = tiff_head(order, big)
    for number, (data, tags) in enumerate(pages, 1):
        options = len(file), data, tags, ()
        after = len(file) + len(directory(*options, 0, order, big))
        after = after if number < len(pages) else 0
        file += directory(*options, after, order, big)
    return file


def directory(
    place, data, tags, counts=(), next_directory=0, order="<", big=False
):
    """Assembles a page that stands at a place, of tags {code: (type, values)}.

    StripOffsets and TileOffsets, 273 and 324, become the place of `data`;
    `counts` says how many values tags pretend to have.
    """
    pointer, counter = "QQ" if big else "IH"
    width = struct.calcsize(pointer)
    fixed = struct.calcsize(counter) + (4 + 2 * width) * len(tags) + width
    start, entries, beyond = place + fixed, b"", b""
    for code, (kind, given) in sorted(tags.items()):
        values = [start] * len(given) if code in (273, 324) else given
        value = struct.pack(f"{order}{len(values)}{TYPES[kind]}", *values)
        if len(value) > width:
            end = start + len(data) + len(beyond)
            beyond, value = beyond + value, struct.pack(order + pointer, end)
        count = dict(counts).get(code, len(values))
        form = f"{order}HH{pointer}{width}s"
        entries += struct.pack(form, code, kind, count, value)
    head = struct.pack(order + counter, len(tags)) + entries
    return head + struct.pack(order + pointer, next_directory) + data + beyond


def tiff_page(data, size, bits=8, channels=3, compression=1, **more):
    """Tags of a page of one strip, for `tiff`; more of them as t254=..."""
    height, width = size
    numbers = {256: width, 257: height, 273: 0, 278: height, 279: len(data)}
    shorts = {259: compression, 262: 2 if channels == 3 else 1, 277: channels}
    return {
        **{code: (4, [value]) for code, value in numbers.items()},
        **{code: (3, [value]) for code, value in shorts.items()},
        258: (3, [bits] * channels),
        **{int(name[1:]): value for name, value in more.items()},
    }


def webp(*chunks):
    """Assembles a WebP file."""
    parts = [
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in chunks
    ]
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def at(data, place, *, put):
    """Replaces bytes."""
    return data[:place] + put + data[place + len(put) :]
