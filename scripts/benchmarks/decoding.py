"""Measures the memory of decoding image files: peaks of fresh processes.

    python scripts/benchmarks/decoding.py --cases=JPEG,WEBP

Each case is a file of 9 megapixels, in the dearest form of its format: with
progressive scans, a color profile that is not sRGB's, and an orientation that
turns it, where the format has these. The peak is that of the resident set while
`image_io.load_picture` reads it, less what the process had before, in bytes a
pixel. `nst_tf.images.decoding_cost` is fitted to these lines.
"""

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness

sys.path.insert(0, str(harness.ROOT / "tests" / "images"))
SIDE, SMALL = 3000, 32  # pixels; of a file that imports all that is needed
JPEG = {"progressive": True, "subsampling": "4:4:4"}
DEFLATE = {"compression": "tiff_adobe_deflate"}
AVIF = {"speed": 10, "subsampling": "4:4:4"}
# Pillow's mode, or "RGB;16" and so on, and options of the writer.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG L": ("L", {"progressive": True}),
    "JPEG RGB": ("RGB", JPEG),
    "JPEG CMYK": ("CMYK", {"progressive": True}),
    "PNG 1": ("1", {}),
    "PNG L": ("L", {}),
    "PNG LA": ("LA", {}),
    "PNG P": ("P", {}),
    "PNG P alpha": ("P", {"transparency": b"\0\x80\xff"}),
    "PNG RGB": ("RGB", {}),
    "PNG RGB alpha": ("RGB", {"transparency": (0, 9, 18)}),
    "PNG RGBA": ("RGBA", {}),
    "PNG L deep": ("L;16", {}),
    "PNG RGB deep": ("RGB;16", {}),
    "PNG RGBA deep": ("RGBA;16", {}),
    "WEBP RGB": ("RGB", {}),
    "WEBP RGBA": ("RGBA", {}),
    "WEBP RGBA lossless": ("RGBA", {"lossless": True, "method": 0}),
    "TIFF L": ("L", DEFLATE),
    "TIFF RGB": ("RGB", DEFLATE),
    "TIFF RGB raw": ("RGB", {}),
    "TIFF CMYK": ("CMYK", {}),
    "TIFF RGBA": ("RGBA", DEFLATE),
    "TIFF L deep": ("L;16", {"compression": "zlib"}),
    "TIFF RGB deep": ("RGB;16", {"compression": "zlib"}),
    "TIFF RGBA deep": ("RGBA;16", {"compression": "zlib"}),
    "TIFF RGBA deep floats": ("RGBA;32", {}),
    "BMP RGB": ("RGB", {}),
    "BMP RGBA": ("RGBA", {}),
    "GIF P": ("P", {}),
    "GIF P alpha": ("P", {"transparency": 0}),
    "PPM RGB": ("RGB", {}),
    "PPM L deep": ("I;16", {}),
    "AVIF RGB": ("RGB", AVIF),
    "AVIF RGBA": ("RGBA", AVIF),
    "HEIF RGB": ("RGB", {"chroma": 444}),
    "HEIF RGBA": ("RGBA", {"chroma": 444}),
}
CHILD = """
import sys
from nst_tf.images import image_io

def status(key):
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(key))
    return 1024 * int(line.split()[1])

image_io.load_picture(sys.argv[1])
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # forgets the peak
before = status("VmRSS")
picture = image_io.load_picture(sys.argv[2])
peak = status("VmHWM") - before
held = picture.pixels.nbytes + getattr(picture.alpha, "nbytes", 0)
print(peak, held, picture.pixels[..., 0].size)
"""


def main(arguments: Sequence[str]) -> int:
    """Measures, prints a line for each case and appends it as JSON."""
    parser = harness.make_parser(__doc__, "decoding")
    parser.add_argument(
        "--cases",
        type=harness.split,
        default=[""],
        help="beginnings of the names of cases",
    )
    flags = parser.parse_args(arguments)
    for name in CASES:
        if not name.startswith(tuple(flags.cases)):
            continue
        with tempfile.TemporaryDirectory() as folder:
            small, large = Path(folder, "small"), Path(folder, "large")
            write(small, name, SMALL)
            write(large, name, SIDE)
            file_bytes = large.stat().st_size
            child = subprocess.run(
                [sys.executable, "-c", CHILD, str(small), str(large)],
                env=harness.make_environment(),
                capture_output=True,
                text=True,
            )
        if child.returncode:
            raise SystemExit(f"{name}: {child.stderr}")
        peak, held, pixels = map(int, child.stdout.split())
        record = {
            **harness.describe_day(),
            "case": name,
            "pixels": pixels,
            "file_bytes": file_bytes,
            "peak": round(peak / pixels, 1),
            "held": round(held / pixels, 1),
        }
        print(f"{name:24} {record['peak']:5.1f} bytes a pixel", flush=True)
        harness.append(flags.json, record)
    return 0


def write(path: Path, name: str, side: int) -> None:
    """Writes a square picture of a case."""
    import numpy as np
    from PIL import Image

    kind, (mode, options) = name.split()[0], CASES[name]
    mode, _, depth = mode.partition(";")
    count = len(Image.new(mode, (1, 1)).getbands())
    ramp = np.arange(side) * 200 // side
    bands = [np.add.outer(ramp, ramp) // 2 + 9 * n for n in range(count)]
    pixels = np.stack(bands, axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = 6  # turned
    if depth and kind == "PNG":
        raw_files = importlib.import_module("raw_files")
        chunks = [raw_files.icc_chunk(make_profile())] * (count > 2)
        chunks.append((b"eXIf", exif.tobytes()[6:]))
        path.write_bytes(raw_files.png_of(pixels * np.uint16(257), *chunks))
        return
    if depth and kind == "TIFF":
        import tifffile

        tifffile.imwrite(
            path,
            pixels / np.float32(255)
            if depth == "32"
            else pixels.squeeze() * np.uint16(257),
            photometric="rgb" if count > 2 else "minisblack",
            extrasamples=["unassalpha"] * (count == 4),
            iccprofile=make_profile() if count > 2 else None,
            extratags=[(274, "H", 1, 6, True)],
            **options,
        )
        return
    image = Image.fromarray(pixels.squeeze()).convert(mode)
    if count > 2:  # CMYK looks like RGBA
        image = Image.frombytes(mode, image.size, pixels.tobytes())
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    if kind not in ("BMP", "GIF", "PPM"):
        options = {**options, "exif": exif}
        if mode.startswith("RGB"):
            options["icc_profile"] = make_profile()
    image.save(path, kind, **options)


def make_profile() -> bytes:
    """Makes a color profile that is not sRGB's: red and green change places."""
    from nst_tf.images import writing

    data = writing.make_srgb_profile()
    swapped = data.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ")
    return swapped.replace(b"....", b"gXYZ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
