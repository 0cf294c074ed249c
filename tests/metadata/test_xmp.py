"""What other programs read in our files: credits, mark, record, EXIF."""

import json
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from nst_tf.images import image_io, writing
from nst_tf.metadata import exif, iptc, xmp

BASE, IFD = ExifTags.Base, ExifTags.IFD
WRITTEN = ("a8.png", "a16.png", "a8.tif", "a16.tif", "a8.webp", "a8.jpg")
CREDITS = {
    "dc:title": ("Harbor <at> dusk & dawn",),
    "dc:description": ("Boats.\nZoë \u6f22",),
    "dc:creator": ("Ada", "Zoë Müller"),
    "dc:rights": ("(c) 2024 Ada",),
    "xmpRights:WebStatement": ("https://example.org/?a&b",),
}
PLACE = {"photoshop:City": ("Genoa",), "exif:GPSLatitude": ("44,24.5N",)}
MARKED = {xmp.MARK: (xmp.GENERATED,)}
RECORD = json.dumps({"nst_tf": "0.1.0", "style": "Straße & <x>.png"})
OLD = '{"nst_tf": "0.1.0", "old": "<&"}'
HEAD, TAIL = xmp.encode(CREDITS).split(b"<dc:creator>")


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("keep_location", [False, True])
def test_credits_are_the_contents_and_the_place_if_asked(
    tmp_path, name, keep_location
):
    written = {**CREDITS, **PLACE, xmp.RECORD: (RECORD,), **MARKED}
    content = tmp_path / f"content.{name.partition('.')[2]}"
    _write_by_pillow(content, xmp.encode(written))
    read = image_io.load_picture(content).credits
    assert read == written
    kept = xmp.select(read, keep_location)
    assert kept == ({**CREDITS, **PLACE} if keep_location else CREDITS)
    path = _saved(tmp_path / name, credits=kept, mark=True)
    assert image_io.load_picture(path).credits == {**kept, **MARKED}


@pytest.mark.parametrize("name", WRITTEN)
def test_credits_in_iptc_alone_reach_every_format(tmp_path, name):
    expected = {n: v for n, v in CREDITS.items() if not n.startswith("xmp")}
    expected["photoshop:City"] = ("Genoa",)
    data = iptc.encode({**CREDITS, **PLACE})
    jpeg, tiff = tmp_path / "content.jpg", tmp_path / "content.tif"
    _image().save(jpeg, extra=iptc.encode_segment(data))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[iptc.TAG] = 7  # as some write it: bytes
    tags[iptc.TAG] = data
    _image().save(tiff, tiffinfo=tags)
    for content in (jpeg, tiff):
        read = image_io.load_picture(content).credits
        assert read == expected
        path = _saved(tmp_path / name, credits=xmp.select(read, True))
        with Image.open(path) as image:
            assert xmp.read(xmp.find(image)) == expected
            held = iptc.read(iptc.find(image))
        assert held == (expected if name[-3:] in ("jpg", "tif") else {})


def test_iptc_without_a_character_set_is_guessed():
    sets = [("Zoë".encode(), "Zoë"), ("Zoë".encode("latin-1"), "Zoë")]
    for stored, expected in sets:
        data = iptc.encode({"dc:creator": ("xx" * 2,)})[8:]  # without UTF-8
        data = data[:-9] + b"\x1c\2\x50\0" + bytes([len(stored)]) + stored
        assert iptc.read(data) == {"dc:creator": (expected,)}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_caption_stays_beside_the_record(tmp_path, name):
    notes = Image.Exif()
    notes[BASE.ImageDescription] = "Boats"
    path = _saved(tmp_path / name, exif=notes, record=RECORD, mark=True)
    with Image.open(path) as image:
        assert image.getexif()[BASE.ImageDescription] == "Boats"
        assert writing.read_record(image) == RECORD
        assert xmp.read(xmp.find(image))[xmp.MARK] == (xmp.GENERATED,)
        assert BASE.UserComment not in image.getexif().get_ifd(IFD.Exif)
    with Image.open(_saved(path, exif=notes)) as image:
        assert not xmp.find(image)  # nothing unasked


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_records_are_read_where_they_were(tmp_path, extension):
    path, notes, options = tmp_path / f"old.{extension}", Image.Exif(), {}
    if extension == "png":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("nst_tf", OLD)
    elif extension == "tif":
        notes[BASE.ImageDescription] = OLD
    else:
        comment = b"ASCII\0\0\0" + OLD.encode()
        notes.get_ifd(IFD.Exif)[BASE.UserComment] = comment
    _image().save(path, exif=notes, **options)
    with Image.open(path) as image:
        assert writing.read_record(image) == OLD
    caption = {"dc:description": (OLD,)}  # an editor made one of it
    assert xmp.select(caption) == {}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("with_alpha", [False, True])
def test_exif_tells_the_file(tmp_path, name, with_alpha):
    alpha = np.full((20, 30), 0.5) if with_alpha else None
    notes = Image.Exif()
    details = notes.get_ifd(IFD.Exif)
    # Pillow would take 0 for an unsigned number, and 0.004 for a double.
    details[BASE.ExposureBiasValue] = TiffImagePlugin.IFDRational(0, 1)
    details[BASE.ExposureTime] = 0.004
    path = _saved(tmp_path / name, exif=notes, alpha=alpha)
    with Image.open(path) as image:
        found = image.getexif().get_ifd(IFD.Exif)
        data = image.info.get("exif", path.read_bytes())
    assert found[BASE.ExifVersion] == b"0232" and found[BASE.ColorSpace] == 1
    size = found.get(BASE.ExifImageWidth), found.get(BASE.ExifImageHeight)
    assert size == ((None, None) if ".tif" in name else (30, 20))
    assert found[BASE.ExposureTime] == pytest.approx(0.004)
    assert b"\x04\x92\x0a\0\x01\0\0\0" in data  # of type 10, signed


@pytest.mark.parametrize("name", ["a8.tif", "a16.tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_large_tiff_is_a_bigtiff(tmp_path, monkeypatch, name, channels):
    monkeypatch.setattr(writing, "LARGEST_TIFF", 0)
    monkeypatch.setattr(writing, "STRIP", 200)
    alpha = np.full((20, 30), 0.5) if channels == 4 else None
    notes = Image.Exif()
    notes.get_ifd(IFD.GPSInfo)[1] = "N"
    path = _saved(tmp_path / name, exif=notes, alpha=alpha, record=RECORD)
    assert path.read_bytes()[:4] == b"II+\0"
    highest = 65535 if "16" in name else 255
    expected = np.rint(_picture() * highest) / np.float32(highest)
    read = image_io.load_picture(path)
    np.testing.assert_allclose(read.pixels, expected, atol=1 / 65000)
    with Image.open(path) as image:
        assert writing.read_record(image) == RECORD
        assert image.getexif().get_ifd(IFD.GPSInfo) == {1: "N"}


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png"])
def test_a_picture_is_written_however_many_made_the_content(tmp_path, name):
    many = {"dc:creator": ("\N{ARTIST PALETTE}",) * 20000}
    kept = xmp.select(many)
    assert len(kept["dc:creator"]) == 100
    image = np.full((2, 3, 3), 0.5, np.float32)
    options = writing.Options(credits=many)  # of whoever asks for them
    image_io.write_image(tmp_path / name, image, options)
    assert image_io.load_image(tmp_path / name).shape == image.shape


def test_a_jpeg_keeps_the_record_where_credits_are_long(tmp_path):
    long = {"dc:description": ("\u6f22" * xmp.LONGEST_TEXT,) * 3}
    record = "x" * writing.LONGEST_RECORD
    path = _saved(
        tmp_path / "a8.jpg", credits=xmp.select(long), record=record, mark=True
    )
    assert image_io.load_picture(path).credits == {
        xmp.RECORD: (record,),
        **MARKED,
    }
    assert xmp.select({"dc:title": ("x" * (xmp.LONGEST_TEXT + 1),)}) == {}
    longest = {"dc:title": ("x" * xmp.LONGEST_TEXT,)}
    assert xmp.select(longest) == longest
    many = ("x" * xmp.LONGEST_TEXT,) * 4
    assert xmp.select({"dc:creator": many, "dc:title": ("y",)}) == {
        "dc:title": ("y",)
    }


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"text",
        b"\xff\xfe<\0a\0/\0>\0",
        HEAD,  # cut off
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + HEAD + b"<dc:creator>" + TAIL,
        b"<a>" * 200_000,
        b"<a>" * 100_000 + b"</a>" * 100_000,
        b"<a " + b"".join(b'b%d="" ' % n for n in range(80_000)) + b"/>",
        HEAD + b" " * xmp.LONGEST + b"<dc:creator>" + TAIL,
        HEAD + b"<dc:creator>&b;" + TAIL,
    ],
)
def test_a_hostile_packet_says_nothing_and_takes_no_time(packet):
    start = time.process_time()
    assert xmp.read(packet) == {}
    assert time.process_time() - start < 3  # 0.2 s on an idle machine
    assert xmp.read(HEAD + b"<dc:creator>" + TAIL) == CREDITS


def test_credits_of_any_kind_are_taken_as_text():
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    packet = f"""<r:RDF xmlns:r="{rdf}" xmlns:dc="{xmp.NAMESPACES["dc"]}"
        xmlns:p="{xmp.NAMESPACES["photoshop"]}">
        <r:Description p:City=" Genoa\x7f "><dc:title>plain</dc:title>
        <dc:rights><r:Alt><r:li xml:lang="de">d</r:li>
        <r:li xml:lang="x-default">e</r:li></r:Alt></dc:rights>
        <dc:creator><r:Bag><r:li/><r:li>Ada</r:li></r:Bag></dc:creator>
        <p:Other>x</p:Other></r:Description></r:RDF>"""
    expected = {
        "dc:title": ("plain",),
        "dc:creator": ("Ada",),
        "dc:rights": ("e",),
        "photoshop:City": ("Genoa\x7f",),
    }
    found = xmp.select(xmp.read(packet.encode()), keep_location=True)
    assert found == expected
    odd = {"dc:title": ("a\0b\ud800\x1b",)}
    assert xmp.read(xmp.encode(xmp.select(odd))) == {"dc:title": ("ab",)}


@pytest.mark.parametrize(
    "data", [b"\x1c", b"\x1c\2\x50\xff\xff", b"\x1c\2\x50\0\x09a", b"x" * 99]
)
def test_damaged_iptc_says_nothing(data):
    assert iptc.read(data) == {}


def test_a_damaged_packet_raises_nothing():
    whole = xmp.encode({**CREDITS, **MARKED})
    for place in range(0, len(whole), 7):
        packet = bytearray(whole)
        packet[place] ^= 0x5A
        assert set(xmp.read(bytes(packet))) <= {*CREDITS, *MARKED}


@pytest.mark.parametrize("key", ["photoshop", "xmp", "exif", "nst_tf"])
def test_a_text_of_a_png_file_is_no_credit(tmp_path, key):
    info = PngImagePlugin.PngInfo()
    info.add_text(key, "text")
    _image().save(tmp_path / "a.png", pnginfo=info)
    assert image_io.load_picture(tmp_path / "a.png").credits == {}


def test_it_is_said_what_a_bmp_file_cannot_say(tmp_path):
    (line,) = writing.list_omissions(
        tmp_path / "a.bmp", writing.Options(mark=True)
    )
    assert "cannot hold the mark of generated pictures" in line
    for name, mark in (("a.bmp", False), ("a.jpg", True)):
        options = writing.Options(mark=mark)
        assert writing.list_omissions(tmp_path / name, options) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize(("with_alpha", "full"), [(False, False), (True, True)])
def test_other_programs_find_no_fault(tmp_path, name, with_alpha, full):
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed: it validates the files")
    content, path = tmp_path / "content.jpg", tmp_path / name
    said = {
        "IFD0:ImageDescription": "Boats",
        "IFD0:Artist": "Ada",
        "IFD0:Copyright": "(c) Ada",
        "ExifIFD:DateTimeOriginal": "2024:05:06 07:08:09",
        "ExifIFD:ExposureTime": "1/250",
        "ExifIFD:ShutterSpeedValue": "1/250",
        "ExifIFD:ExposureCompensation": "0",
        "ExifIFD:FNumber": "8.0",
        "ExifIFD:ISO": "200",
        "GPS:GPSVersionID": "2.3.0.0",
        "GPS:GPSLatitudeRef": "North",
        "GPS:GPSLatitude": "44 deg 24' 30.00\"",
        "GPS:GPSProcessingMethod": "GPS",  # exiftool wants it in TIFF files
        "XMP-dc:Creator": "Ada",
        "XMP-dc:Title": "Harbor",
        "XMP-dc:Rights": "CC BY",
        "XMP-dc:Description": "Zoë's boats",
        "IPTC:By-line": "Ada",
    }
    _image().save(content)
    _exiftool(*(f"-{n}={v}" for n, v in said.items()), content)
    read = image_io.load_picture(content)
    chosen = {"mark": True}
    if full:
        chosen |= {
            "exif": exif.select_tags(read.exif, keep_location=True),
            "credits": xmp.select(read.credits, keep_location=True),
            "record": RECORD,
            "dpi": (300, 300),
        }
    alpha = np.full((20, 30), 0.5) if with_alpha else None
    _saved(path, alpha=alpha, **chosen)
    checked = _exiftool("-validate", "-warning", "-error", "-a", "-j", path)
    assert checked["Validate"] in ("OK", "0 0 0"), checked
    found = _exiftool("-G1", "-j", path)
    assert found["XMP-iptcExt:DigitalSourceType"].endswith(
        "digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )
    assert found["ExifIFD:ColorSpace"] == "sRGB"
    for tag, value in said.items() if full else ():
        if tag != "IPTC:By-line" or name[-3:] in ("jpg", "tif"):
            assert str(found[tag]) == value, tag
    if full:
        assert found["XMP-nst_tf:Record"]
    program = {"png": "pngcheck", "tif": "tiffinfo"}.get(name[-3:], "webpinfo")
    if shutil.which(program) and "jpg" not in name:
        done = subprocess.run([program, path], capture_output=True)
        assert done.returncode == 0 and not done.stderr, done


def _exiftool(*arguments):
    """What exiftool says, in a table if that is asked for."""
    done = subprocess.run(
        ["exiftool", "-charset", "utf8", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)[0] if "-j" in arguments else None


def _picture():
    """A picture, [20, 30, 3] in [0, 1]."""
    return np.random.default_rng(0).random((20, 30, 3))


def _image():
    """The same for Pillow."""
    return Image.fromarray(np.rint(255 * _picture()).astype("u1"))


def _write_by_pillow(path, packet):
    """Writes a picture with XMP, not by the code under test."""
    if path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        _image().save(path, pnginfo=info)
    elif path.suffix == ".tif":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[700] = packet
        _image().save(path, tiffinfo=tags)
    else:
        _image().save(path, xmp=packet)


def _saved(path, **options):
    """Writes a picture by the code under test, at the depth in the name."""
    options["bit_depth"] = 16 if "16" in path.name else 8
    image_io.write_image(path, _picture(), writing.Options(**options))
    return path
