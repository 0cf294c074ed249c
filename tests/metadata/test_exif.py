"""Which EXIF tags are kept, and which are added."""

import io
import struct

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from nst_tf.metadata import exif

BASE, IFD = ExifTags.Base, ExifTags.IFD


def _select(tags, below=None, keep_location=False):
    """Selects of tags, and of those of directories below: the same."""
    source = Image.Exif()
    source.update(tags)
    for ifd, more in (below or {}).items():
        source.get_ifd(ifd).update(more)
    found = exif.select_tags(source, keep_location)
    return dict(found), *(dict(found.get_ifd(ifd)) for ifd in exif._BELOW)


def test_author_date_and_camera_are_kept_and_no_owner():
    kept = {
        BASE.ImageDescription: "Boats",
        BASE.Make: "a maker",
        BASE.Model: "a model",
        BASE.DateTime: "2024:05:06 07:08:09",
        BASE.Artist: "Ada",
        BASE.Copyright: "(c) Ada",
    }
    dropped = {BASE.Orientation: 6, BASE.Software: "x", BASE.XResolution: 300.0}
    details = {
        BASE.ExposureTime: 0.25,
        BASE.FNumber: 8.0,
        BASE.ApertureValue: 6.0,
        BASE.FocalLength: 50.0,
        BASE.ShutterSpeedValue: -2.0,
        BASE.ExposureBiasValue: -1.0,
        BASE.ExposureProgram: 2,
        BASE.ISOSpeedRatings: 200,
        BASE.Flash: 16,
        BASE.FocalLengthIn35mmFilm: 75,
        BASE.DateTimeOriginal: "2024:05:06 07:08:09",
        BASE.DateTimeDigitized: "2024:05:06 07:08:10",
        BASE.OffsetTime: "+01:00",
        BASE.OffsetTimeOriginal: "+01:00",
        BASE.OffsetTimeDigitized: "+02:00",
        BASE.SubsecTimeOriginal: "12",
        BASE.LensMake: "a maker",
        BASE.LensModel: "a lens",
    }
    private = {BASE.BodySerialNumber: "123", BASE.CameraOwnerName: "Ada L."}
    place = {1: "N", 2: (44.0, 24.0, 30.0), 31: 5.0}
    below = {IFD.Exif: {**details, **private}, IFD.GPSInfo: place}
    main, exposure, gps = _select({**kept, **dropped}, below)
    assert {tag: main.get(tag) for tag in kept} == kept
    assert not {*dropped} & {*main}
    assert (exposure, gps) == (details, {})
    assert _select(kept, below, keep_location=True)[2] == place


def test_long_values_and_records_of_ours_are_left_out():
    for length, is_kept in ((1000, True), (1001, False)):
        text = "x" * length
        main, details, _ = _select(
            {BASE.Artist: text}, {IFD.Exif: {BASE.LensModel: text}}
        )
        assert (BASE.Artist in main) == (BASE.LensModel in details) == is_kept
    for value in (b"x" * 1001, (1,) * 1001):
        assert not exif._can_be_kept(value)
        assert exif._can_be_kept(value[1:])
    record = '{"nst_tf": "1"}'
    assert _select({BASE.ImageDescription: record})[0] == {}
    assert _select({BASE.ImageDescription: "a " + record})[0] != {}


def test_values_that_cannot_be_written_are_left_out():
    odd = {BASE.ExposureProgram: "manual", BASE.LensModel: "a lens"}
    assert _select({}, {IFD.Exif: odd})[1] == {BASE.LensModel: "a lens"}
    main, _, _ = _select({BASE.Artist: "Zo\xeb", BASE.Make: "\u6f22"})
    again = Image.Exif()
    tags = {None: main}
    again.load(exif.encode(tags))
    assert (again[BASE.Artist], again[BASE.Make]) == ("Zo\xeb", "?")


def test_a_damaged_directory_costs_no_other():
    class Damaged(Image.Exif):
        def get_ifd(self, tag):
            if tag == IFD.Exif:
                raise ValueError("damaged")
            return {1: "N"}

    source = Damaged()
    source[BASE.Artist] = "Ada"
    found = exif.select_tags(source, keep_location=True)
    assert found[BASE.Artist] == "Ada"
    assert found.get_ifd(IFD.GPSInfo) == {1: "N"}
    assert found.get_ifd(IFD.Exif) == {}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("dpi", [None, (300, 150)])
def test_the_tags_that_exif_requires_are_added(form, dpi):
    notes = Image.Exif()
    notes[BASE.Artist] = "Ada"
    notes.get_ifd(IFD.Exif)[BASE.FNumber] = 8.0
    notes.get_ifd(IFD.GPSInfo)[1] = "N"
    found = exif.complete(notes, (30, 20), form, dpi)
    main = {BASE.Artist: "Ada"}
    details = {
        BASE.FNumber: 8.0,
        BASE.ExifVersion: b"0232",
        BASE.FlashPixVersion: b"0100",
        BASE.ColorSpace: 1,
    }
    if form != "TIFF":
        details |= {BASE.ExifImageWidth: 30, BASE.ExifImageHeight: 20}
    if form == "JPEG":
        details[BASE.ComponentsConfiguration] = b"\1\2\3\0"
        main[BASE.YCbCrPositioning] = 1
    if form != "PNG":
        across, down = dpi or (1, 1)
        main |= {BASE.XResolution: across, BASE.YResolution: down}
        main[BASE.ResolutionUnit] = 2 if dpi else 1
    assert found == {None: main, IFD.Exif: details, IFD.GPSInfo: {1: "N"}}
    bare = exif.complete(None, (30, 20), form, dpi)
    assert bare[None] == {n: v for n, v in main.items() if n != BASE.Artist}
    assert bare[IFD.GPSInfo] == {}


def _types(data, ifd=None):
    """The types of the tags in encoded EXIF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    found = {}
    for number in range(count):
        tag, kind, _, value = struct.unpack_from(
            "<HHII", data, start + 2 + 12 * number
        )
        found[tag] = kind, value
    if ifd:
        return _types(data[:4] + struct.pack("<I", found[ifd][1]) + data[8:])
    return {tag: kind for tag, (kind, _) in found.items()}


def test_tags_are_written_in_the_types_that_exif_requires():
    rational, signed, short, text, undefined, long = 5, 10, 3, 2, 7, 4
    numbers = {
        **dict.fromkeys(exif._RATIONAL, IFDRational(1, 4)),
        **dict.fromkeys(exif._SIGNED, IFDRational(1, 4)),
        **dict.fromkeys(exif._SHORT, 2),
        **dict.fromkeys(exif._TEXT, "text"),
        BASE.ComponentsConfiguration: b"\1\2\3\0",
        BASE.ExifImageWidth: 30,
        BASE.ExifImageHeight: 20,
    }
    main = {BASE.Artist: "Ada", BASE.IPTCNAA: 5}
    directories = {None: main, IFD.Exif: numbers, IFD.GPSInfo: {1: "N"}}
    data = exif.encode(directories)
    assert data[:14] == b"Exif\0\0II*\0\x08\0\0\0"
    assert _types(data[6:])[BASE.IPTCNAA] == long
    assert _types(data[6:], IFD.Exif) == {
        **dict.fromkeys(exif._RATIONAL, rational),
        **dict.fromkeys(exif._SIGNED, signed),
        **dict.fromkeys(exif._SHORT, short),
        **dict.fromkeys(exif._TEXT, text),
        BASE.ComponentsConfiguration: undefined,
        BASE.ExifImageWidth: long,
        BASE.ExifImageHeight: long,
    }
    again = Image.Exif()
    again.load(data)
    assert again[BASE.Artist] == "Ada"
    assert again.get_ifd(IFD.GPSInfo) == {1: "N"}
    assert again.get_ifd(IFD.Exif)[BASE.LensModel] == "text"
    assert IFD.GPSInfo not in _types(exif.encode({None: main})[6:])


@pytest.mark.parametrize(
    "head", [exif._HEAD, b"II+\0\x08\0\0\0\x10" + bytes(7)]
)
def test_offsets_of_samples_count_from_the_end_of_the_directories(head):
    main = {BASE.StripOffsets: (0, 7), BASE.StripByteCounts: (7, 7)}
    below = {IFD.Exif: {BASE.LensModel: "a lens"}}
    data = head + exif.encode_directories({None: main, **below}, head)
    again = ImageFileDirectory_v2(head)
    file = io.BytesIO(data)
    file.seek(len(head))
    again.load(file)
    assert again[BASE.StripOffsets] == (len(data), len(data) + 7)
    assert again.tagtype[BASE.StripOffsets] == (16 if head[2] == 43 else 4)
    assert b"a lens" in data
