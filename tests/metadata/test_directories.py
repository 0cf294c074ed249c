"""Directories of tags: what is counted, followed and refused."""

import io
import struct

import pytest

from nst_tf.metadata import directories


def _check(data):
    """Returns the words of the refusal; none if the tags are accepted."""
    try:
        directories.check_tags(io.BytesIO(data))
    except ValueError as error:
        return str(error)
    return ""


def _page(tags, following=0, order="<", big=False):
    """A directory of tags, (code, type, count, value)."""
    pointer, counter = "QQ" if big else "IH"
    form = f"{order}HH{pointer}{pointer}"
    entries = [struct.pack(form, *tag) for tag in tags]
    head = struct.pack(order + counter, len(tags))
    return head + b"".join(entries) + struct.pack(order + pointer, following)


def _file(*pages, order="<", big=False, pad=0):
    """A TIFF file of pages that stand one behind the other."""
    start = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}HI", 42, 8)
    if big:
        head = struct.pack(f"{order}3HQ", 43, 8, 0, 16)
    return start + head + b"".join(pages) + bytes(pad)


FORMS = [(order, big) for order in "<>" for big in (False, True)]


every_form = pytest.mark.parametrize(("order", "big"), FORMS)
SIZES = {
    **{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4},
    **{12: 8, 13: 4, 16: 8, 17: 8, 18: 8},
}
LONG = 65000, 1, 10**6, 0  # longer than any file here


@every_form
@pytest.mark.parametrize("kind", SIZES)
def test_tags_are_at_most_as_long_as_their_file(order, big, kind):
    long = 700, kind, 100, 0
    short = 701, 1, 8 if big else 4, 0  # inside its entry
    data = _file(_page([long, short], 0, order, big), order=order, big=big)
    pad = 100 * SIZES[kind] - len(data)
    assert _check(data + bytes(pad)) == ""
    words = f"its tags claim {100 * SIZES[kind]} bytes"
    assert words in _check((data + bytes(pad))[:-1])


def test_numbers_and_tags_are_at_most_so_many(monkeypatch):
    limits = directories.MOST_NUMBERS, directories.MOST_ENTRIES
    assert (*limits, directories.MOST_DIRECTORIES) == (2**20, 2**16, 1000)
    monkeypatch.setattr(directories, "MOST_NUMBERS", 12)
    for kind in SIZES:
        is_number = kind not in (1, 2, 6, 7)
        for many in (2, 3):
            tags = [(700, kind, 10, 0), (701, kind, many, 0)]
            words = _check(_file(_page(tags), pad=200))
            assert ("and 13 numbers" in words) == (is_number and many == 3)
    monkeypatch.setattr(directories, "MOST_ENTRIES", 3)
    one, two = (_page([(700, 1, 1, 0)] * n, 8 + 18) for n in (1, 2))
    three = _page([(700, 1, 1, 0)] * 3)
    assert _check(_file(one, two)) == ""
    assert "it has 4 tags" in _check(_file(one, three))


@every_form
@pytest.mark.parametrize("tag", [330, 34665, 34853, 40965, 34664])
@pytest.mark.parametrize("kind", [3, 4, 13, 16, 18, 9, 1])
def test_directories_below_are_followed(order, big, tag, kind):
    letter = {3: "H", 16: "Q", 18: "Q"}.get(kind, "I")
    is_followed = tag != 34664 and kind not in (9, 1)
    width, pointer = (8, "Q") if big else (4, "I")
    # Two tags, the number if it does not fit into its tag, and the directory.
    place = (16 if big else 8) + len(_page([LONG] * 2, 0, order, big))
    number = struct.pack(order + letter, place + 8).ljust(width, b"\0")
    value = place
    if len(number) == width:
        (value,) = struct.unpack(order + pointer, number)
    tags = [(700, 1, 1, 0), (tag, kind, 1, value)]
    page = _page(tags, 0, order, big) + number.ljust(8, b"\0")
    below = _page([LONG], 0, order, big)
    data = _file(page, below, order=order, big=big)
    assert bool(_check(data)) == is_followed


@pytest.mark.parametrize("many", [2, 64, 65, 66])
def test_of_a_tag_64_directories_are_followed(many):
    begin = 8 + len(_page([LONG]))
    below = begin + 4 * many
    numbers = [0] * (many - 1) + [below]
    listed = struct.pack(f"<{many}I", *numbers)
    data = _file(_page([(330, 4, many, begin)]), listed, _page([LONG]))
    assert bool(_check(data)) == (many <= 64)


@every_form
def test_pages_are_followed_to_the_limit_and_not_in_circles(
    order, big, monkeypatch
):
    size = len(_page([LONG], 0, order, big))
    start = 16 if big else 8
    pages = [
        _page([(700, 1, 1, 0)], start + size * number, order, big)
        for number in (1, 2)
    ]
    loop = _page([(700, 1, 1, 0)], start, order, big)
    bad = _page([LONG], 0, order, big)
    form = {"order": order, "big": big}
    assert _check(_file(*pages, loop, **form)) == ""
    assert "its tags claim" in _check(_file(*pages, bad, **form))
    monkeypatch.setattr(directories, "MOST_DIRECTORIES", 3)
    assert "its tags claim" in _check(_file(*pages, bad, **form))
    monkeypatch.setattr(directories, "MOST_DIRECTORIES", 2)
    assert _check(_file(*pages, bad, **form)) == ""


@every_form
def test_what_is_cut_off_is_left_to_the_libraries(order, big):
    page = _page([(700, 1, 1, 0)] * 2, 0, order, big)
    data = _file(page, order=order, big=big)
    for end in range(4, len(data)):
        assert _check(data[:end]) == ""


def test_a_directory_that_begins_at_a_plus_is_one_of_32_bits():
    bad = _page([LONG])
    data = b"II*\0" + struct.pack("<I", ord("+")) + bytes(ord("+") - 8) + bad
    assert "its tags claim" in _check(data)
