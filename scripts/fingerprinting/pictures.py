"""The pictures that toy jobs read: tiny, seeded, made with NumPy and Pillow."""

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

SIZE = (54, 72)  # height, width of the content image


def write(folder: Path) -> None:
    """Writes all pictures to a folder, and two styles to its folder "many"."""
    height, width = SIZE
    town = _waves(height, width, 1)
    Image.fromarray(town).save(folder / "town.png")
    Image.fromarray(_waves(48, 64, 2)).save(folder / "paint.png")
    Image.fromarray(_waves(60, 45, 3)).save(folder / "ink.png")
    Image.fromarray(_waves(32, 48, 4)).save(folder / "start.png")
    (folder / "many").mkdir()
    for seed in (5, 6):
        picture = Image.fromarray(_waves(40, 50, seed))
        picture.save(folder / "many" / f"{seed}.png")
    alpha = np.clip(_ramp(height, width) * 2, 0, 1)[..., None]
    alpha = np.rint(255 * alpha).astype(np.uint8)
    Image.fromarray(np.dstack([town, alpha])).save(folder / "cut.png")
    _write_masks(folder)
    _write_photograph(folder / "photo.jpg")
    _write_formats(folder)


def _write_masks(folder: Path) -> None:
    """Writes masks of the content and of the first two styles."""
    ramp = _ramp(*SIZE)
    for name, mask in (
        ("half.png", ramp > 0.5),
        ("soft.png", ramp),
        ("keep.png", ramp < 0.3),
    ):
        samples = np.rint(255 * mask.astype(float)).astype(np.uint8)
        Image.fromarray(samples).save(folder / name)
    colors = np.array([[230, 20, 30], [20, 200, 40], [10, 30, 220]], np.uint8)
    for name, size in (
        ("regions.png", SIZE),
        ("paint_regions.png", (48, 64)),
        ("ink_regions.png", (60, 45)),
    ):
        index = np.minimum((3 * _ramp(*size)).astype(int), 2)
        Image.fromarray(colors[index]).save(folder / name)


def _write_photograph(path: Path) -> None:
    """Writes a JPEG file with a camera's notes, turned on its side."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "A. Painter"
    exif[ExifTags.Base.Make] = "Camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 200
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (1.0, 2.0, 3)
    picture = Image.fromarray(_waves(72, 54, 7))
    picture.save(path, exif=exif, dpi=(150, 150), quality=90)


def _write_formats(folder: Path) -> None:
    """Writes files of several kinds, for the reader."""
    picture = Image.fromarray(_waves(30, 40, 8))
    picture.convert("L").save(folder / "gray.png")
    picture.convert("P").save(folder / "palette.gif")
    picture.convert("CMYK").save(folder / "print.jpg", quality=90)
    picture.save(folder / "lossy.webp", quality=80)
    picture.save(folder / "plain.tif", compression="tiff_lzw")
    picture.save(folder / "plain.bmp")
    deep = (257 * np.asarray(picture.convert("L"), np.uint16)) ^ 77
    Image.fromarray(deep).save(folder / "deep.png")
    Image.fromarray(deep).save(folder / "deep.tif")
    (folder / "text.txt").write_text("no picture\n")


def _waves(height: int, width: int, seed: int) -> np.ndarray:
    """Paints waves, edges and a little noise, [height, width, 3], uint8."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3))
    for channel in range(3):
        a, b, phase = rng.uniform(-0.5, 0.5, size=3)
        image[..., channel] = np.sin(a * row + b * column + 6 * phase)
    image += 0.8 * np.sign(image[..., ::-1]) + 0.1 * rng.normal(
        size=image.shape
    )
    return np.clip(127 + 60 * image, 0, 255).astype(np.uint8)


def _ramp(height: int, width: int) -> np.ndarray:
    """Rises from 0, at the top left, to 1, [height, width]."""
    row, column = np.mgrid[:height, :width]
    return (row / (height - 1) + column / (width - 1)) / 2
