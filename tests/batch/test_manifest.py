"""Manifests: what is read, what is refused, and in which sentence."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from nst_tf.batch import command, manifest
from nst_tf.images import image_io

GOOD = "content,style,output\ntown.png,paint.png,out/a.png\n"
HEAD = "content,style,output\n"
LINE = "town.png,paint.png,out/b.png"


@pytest.fixture
def run(folder, capsys):
    """Runs the program on a manifest: status, and lines of errors."""

    def run(data, *flags, name="jobs.csv"):
        if data is not None:
            path = folder / name
            path.write_bytes(data.encode() if isinstance(data, str) else data)
        before = sorted(folder.rglob("*"))
        status = command.main([f"--manifest={name}", "--quiet", *flags])
        assert sorted(folder.rglob("*")) == before
        shown = capsys.readouterr()
        assert not shown.out
        return status, shown.err.splitlines()

    return run


def _row(**changes):
    given = {"content": "town.png", "style": "paint.png", "output": "a.png"}
    return f"{json.dumps({**given, **changes})}\n"


# Kind of manifest, its text, what the one sentence has.
BAD_CSV = {
    "empty": ("", "jobs.csv is empty"),
    "no lines": (HEAD, "has no lines"),
    "blank lines": ("\n\n", "is empty"),
    "unknown column": ("content,colour\n", "line 1: unknown .*'color'"),
    "column twice": ("content,style,style\n", "'style' is there twice"),
    "column without a name": ("content,,style\n", "unknown setting ''"),
    "column of a single run": ("content,log\n", "line 1: log is for a single"),
    "sheets": ("content,sweep\n", "line 1: sweep is for a single"),
    "semicolons": ("content;style;output\n", "separated by ';'"),
    "UTF-16": ("content,style\n".encode("utf-16"), "line 1, is not text in"),
    "Latin-1": (
        f"{HEAD}caf\xe9.png,paint.png,a.png".encode("latin-1"),
        "line 2, is not text in UTF-8",
    ),
    "zeros": (b"content,style\n\0\0,\0\n", "line 2, is not text in UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "line 1, is not text"),
    "open quotes": (
        f'{HEAD}"town.png,paint.png,a.png\n',
        "line 2, is not valid CSV",
    ),
    "quotes inside": (f'{HEAD}"to"wn.png",paint.png,a.png\n', "line 2, is not"),
    "few cells": (f"{HEAD}town.png,paint.png\n", "line 2: it has 2 cells, ex"),
    "many cells": (f"{HEAD}{LINE},1,2\n", "line 2: it has 5 cells, expected 3"),
    "wrong number": (
        f"{HEAD[:-1]},size\n{LINE},large\n",
        "line 2: --size is 'large', expected a whole number",
    ),
    "not whole": (f"{HEAD[:-1]},size\n{LINE},64.5\n", "--size is '64.5', e"),
    "out of range": (f"{HEAD[:-1]},size\n{LINE},0\n", "size is 0, expected at"),
    "no choice": (f"{HEAD[:-1]},color\n{LINE},kontent\n", "mean 'content'"),
    "no switch": (
        f"{HEAD[:-1]},mark\n{LINE},maybe\n",
        "expected true or false",
    ),
    "numbers": (f'{HEAD[:-1]},steps\n{LINE},"3;x"\n', "expected whole numbers"),
    "two that conflict": (
        f"{HEAD[:-1]},size,print_size\n{LINE},64,A6\n",
        "line 2: --print_size and --size are both given",
    ),
    "no content": (f"{HEAD},paint.png,a.png\n", "line 2: no content image"),
    "no style": (f"{HEAD}town.png,,a.png\n", "line 2: no style image"),
    "missing content": (f"{HEAD}twon.png,paint.png,a.png\n", "mean 'town.png'"),
    "missing style": (
        f"{HEAD}town.png,x.png,a.png\n",
        "there is no file .*x.p",
    ),
    "empty part": (f"{HEAD}town.png,paint.png;,a.png\n", "style is empty"),
    "standard input": (f"{HEAD}-,paint.png,a.png\n", "line 2: content is '-'"),
    "folder": (f"{HEAD}.,paint.png,a.png\n", "is a folder; expected an image"),
    "no picture": (f"{HEAD}toy.cfg,paint.png,a.png\n", "is not an image in"),
    "extension": (f"{HEAD}town.png,paint.png,a.gif\n", "extension '.gif'"),
    "no extension": (f"{HEAD}town.png,paint.png,a\n", "has no extension"),
    "an input": (f"{HEAD}town.png,paint.png,paint.png\n", "paint.png exists"),
    "a folder": (f"{HEAD}town.png,paint.png,d.png\n", "is a folder; expected"),
    "placeholder": (f"{HEAD}town.png,paint.png,{{a}}.png\n", "with {a}"),
    "brace": (f"{HEAD}town.png,paint.png,{{.png\n", "has an unmatched brace"),
    "duplicate": (
        f"{GOOD}{LINE}\n{LINE}\n",
        "line 4: .* also the output of line 3",
    ),
    "several devices": (f"{HEAD[:-1]},devices\n{LINE},2\n", "devices is for o"),
    "color": (
        f'{HEAD[:-1]},color\n{LINE},"match,style"\n',
        "line 2: --color has 2 values, but there is 1 style",
    ),
    "no mask": (
        f'{HEAD[:-1]},color\ntown.png,paint.png;town.png,b.png,"content,style"\n',
        "line 2: --color is content,style, but without a mask",
    ),
    "too small": (f"{HEAD[:-1]},size\n{LINE},1\n", "size is 1, which makes"),
}
BAD_JSON = {
    "empty": ("", "has no lines"),
    "not JSON": ("{content: 1}\n", "line 1: it is not JSON: .* at column 2"),
    "list": ("[1, 2]\n", r"line 1: it is \[1, 2\], expected an object"),
    "unknown key": (_row(sise=3), "line 1: unknown setting 'sise'; did you"),
    "nested": (_row(size={"a": 1}), "line 1: size is {'a': 1}, expected a t"),
    "deep": ("[" * 100_000, "line 1: "),
    "key twice": ('{"size": 1, "size": 2}\n', "the key 'size' is there twice"),
    "type": (_row(size=True), "line 1: --size is True of type bool, e"),
    "text": (_row(content=3), "line 1: --content is 3 of type int, e"),
    "colors": (
        _row(color=["match", "style"]),
        "line 1: --color has 2 values, but there is 1 style",
    ),
    "not finite": (_row(tv_weight=float("nan")), "tv_weight is nan, expected"),
    "after good ones": (
        _row() + _row(output="b.png", size="x"),
        "line 2: --size is 'x', expected a whole number",
    ),
}


@pytest.mark.parametrize("kind", BAD_CSV)
def test_a_bad_table_is_refused_in_one_sentence(kind, run, folder):
    (folder / "d.png").mkdir()
    text, words = BAD_CSV[kind]
    status, lines = run(text)
    (line,) = lines
    assert status == 1
    assert line.startswith("nst-tf: ")
    assert re.search(words, line), line


@pytest.mark.parametrize("kind", BAD_JSON)
def test_a_bad_line_of_json_is_refused_in_one_sentence(kind, run):
    text, words = BAD_JSON[kind]
    status, lines = run(text, name="jobs.jsonl")
    (line,) = lines
    assert status == 1
    assert re.search(words, line), line


def test_all_faults_are_listed_with_their_lines(run):
    text = f"{GOOD}x.png,paint.png,b.png\ntown.png,y.png,c.png\n{LINE},4\n"
    status, lines = run(text)
    assert status == 1
    assert [line.partition(": ")[2][:7] for line in lines] == [
        "line 3:",
        "line 4:",
        "line 5:",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("jobs.txt", "extension '.txt', expected .csv or .jsonl"),
        ("job.csv", "there is no manifest job.csv; did you mean 'jobs.csv'"),
        ("folder.csv", "is a folder, expected a file"),
        ("pipe.csv", "is not a regular file"),
        ("closed.csv", "cannot be read: Permission denied"),
    ],
)
def test_what_is_no_manifest_is_refused(name, words, run, folder):
    (folder / "jobs.csv").write_text(GOOD)
    (folder / "jobs.txt").write_text(GOOD)
    (folder / "folder.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    (folder / "closed.csv").write_text(GOOD)
    (folder / "closed.csv").chmod(0)
    if name == "closed.csv" and os.access(folder / name, os.R_OK):
        pytest.skip("root reads any file")
    status, (line,) = run(None, name=name)
    assert status == 1 and words in line


def test_a_folder_that_takes_no_files_is_refused(run, folder):
    (folder / "file").write_text("")
    status, (line,) = run(f"{HEAD}town.png,paint.png,file/a.png\n")
    assert status == 1 and "line 2: output folder" in line
    status, (line,) = run(GOOD, "--output_root=elsewhere")
    assert status == 1 and "line 2: output" in line and "is outside of" in line


def _read(path):
    return [
        dict(zip(line.names, line.values, strict=True))
        for line in manifest.read(Path(path))
    ]


def test_csv_and_json_say_the_same(tmp_path):
    table = tmp_path / "a.csv"
    table.write_bytes(
        b'\xef\xbb\xbfcontent, style,"steps"\r\n'
        b'"a,b.jpg",x.jpg;y.jpg, "100,80"\r\n\r\nc.jpg,z.jpg,\r\n'
    )
    lines = tmp_path / "a.jsonl"
    lines.write_text(
        '{"content": "a,b.jpg", "style": ["x.jpg", "y.jpg"], "steps": [100, '
        '80]}\n\n{"content": "c.jpg", "style": "z.jpg", "steps": null}\n'
    )
    assert _read(table) == [
        {"content": "a,b.jpg", "style": "x.jpg;y.jpg", "steps": "100,80"},
        {"content": "c.jpg", "style": "z.jpg", "steps": ""},
    ]
    assert _read(lines) == [
        {"content": "a,b.jpg", "style": ("x.jpg", "y.jpg"), "steps": (100, 80)},
        {"content": "c.jpg", "style": "z.jpg"},
    ]
    assert [line.number for line in manifest.read(table)] == [2, 4]


def test_patterns_give_every_content_with_every_style(folder):
    for name in ("b.jpg", "a.jpg", "c.txt"):
        image_io.save_image(f"{name[:1]}.jpg", np.full((9, 9, 3), 0.5))
    lines = manifest.combine("[ab].jpg", ["paint.png", "c.jp?"])
    assert [line.values for line in lines] == [
        ("a.jpg", ("paint.png",)),
        ("a.jpg", ("c.jpg",)),
        ("b.jpg", ("paint.png",)),
        ("b.jpg", ("c.jpg",)),
    ]
    with pytest.raises(ValueError, match="no file matches 'x\\*.jpg'"):
        manifest.combine("x*.jpg", ["paint.png"])
    with pytest.raises(ValueError, match="no style images; name them with"):
        manifest.combine("a.jpg", [])
    (line,) = manifest.combine("https://host/a*.png", ["paint.png"])
    assert line.values[0] == "https://host/a*.png"  # an address is no pattern
