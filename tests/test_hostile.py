"""What anybody may have made: an answer, or one sentence.

Flag files, masks, records and checkpoints are whole ones with a mutation: a
wrong type, a huge number, a missing key, an escape sequence, a path that leads
elsewhere, flipped bytes. Of each a reader makes what it documents, or raises a
ValueError of one sentence, within a second and in little memory.
"""

import copy
import functools
import gc
import io
import json
import os
import sys
import time
import warnings
import zipfile
from pathlib import Path

import hostile
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from PIL import Image

from nst_tf import files
from nst_tf.cli import flags
from nst_tf.images import writing
from nst_tf.network import bundled
from nst_tf.optimize import state_file
from nst_tf.plan import arrays, checks, inputs, settings, style_regions
from nst_tf.runs import description, record_checks, records, rerun

SECONDS = 1.0  # of computing, for an example
MEGABYTES = 900  # by which the process may grow, over all examples
LONGEST_SENTENCE = 8000  # characters: a long value is repeated in it


def _settings(count):
    return hypothesis.settings(
        max_examples=count,
        deadline=None,  # the clock of the process counts, not the wall's
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def both_tiers(strategy):
    """Runs a property with 50 examples, and with 1,000 in the slow tier."""

    def decorate(check):
        def run(count):
            before = hostile.read_memory("VmRSS")
            _settings(count)(hypothesis.given(strategy)(_timed(check)))()
            assert hostile.read_memory("VmHWM") - before < MEGABYTES

        counts = [50, pytest.param(1000, marks=pytest.mark.slow)]
        return pytest.mark.parametrize("count", counts)(run)

    return decorate


def _timed(check):
    """Fails for an example that takes too long, twice.

    Once it may be the collector, which walks through all that a long session of
    tests keeps.
    """

    def run(example):
        for _ in range(2):
            began = time.process_time()
            check(example)
            seconds = time.process_time() - began
            if seconds < SECONDS:
                return
            gc.collect()
        raise AssertionError(f"{seconds:.1f} s, twice")

    return run


def _check_sentence(error):
    """Checks that an error is one sentence."""
    sentence = str(error)
    assert sentence.endswith("."), sentence
    assert len(sentence.splitlines()) == 1, sentence
    assert len(sentence) < LONGEST_SENTENCE, len(sentence)


# Words that hurt: escapes, and what would be another flag.
ESCAPES = [
    *("\x1b[2J", "\x1b]0;owned\a", "\x9b1m", "\u202e", "\x7f", "\b\b", "\0"),
    *("a\n--overwrite", "a\r--log=b", "a\u2028--log=b", "--log=b", "#", " a"),
]
NUMBERS = [
    *("0", "-1", "1.5", "1e400", "-1e400", "nan", "inf", "1e-400", "1e308"),
    *("65537", str(2**63), "9" * 5000, "0x10", "1_000", "\u0663", " 7 "),
    *("1,,2", ",", "2" + ",2" * 500, "true", "None", "[1,[2,[3]]]"),
]
PATHS = [
    *("../secret.png", "../../etc/passwd", "/etc/passwd", "/proc/self/pagemap"),
    *("/dev/zero", "pipe", "~", "~root", "~nobody-here/a.png", "C:\\a.png"),
    *(".", "..", "", "-", "a" * 300, "a/" * 3000, "a\0.png", "town.png"),
    *("http://a@b:c@[::1/?x=@d/", "http://[", "https://", "file:///etc/passwd"),
]
# Not of characters that nobody assigned, which Python calls unprintable.
_ASSIGNED = strategies.characters(exclude_categories=("Cn", "Co", "Cs"))
ANY_TEXT = strategies.text(_ASSIGNED, max_size=20)
VALUES = strategies.sampled_from(NUMBERS + PATHS + ESCAPES) | ANY_TEXT
DEEP = functools.reduce(lambda inner, _: [inner], range(200), [])
PLAIN = strategies.sampled_from(
    [
        *(None, True, 0, 1, -1, 2**63, 9 * 10**4299, 0.5, 1.0, 1e400, -1e400),
        *(float("nan"), [], {}, [[[1]]], {"a": {"b": []}}, DEEP, [0] * 9),
        *("a" * 9999, "sha256:" + "0" * 64, *PATHS, *ESCAPES),
    ]
) | (ANY_TEXT | strategies.integers() | strategies.floats())
# In a tree of plain values: where, what is done there, by which value.
CHANGES = strategies.lists(
    strategies.tuples(
        strategies.integers(0, 10**6),
        strategies.sampled_from(["put", "put", "delete", "add", "rename"]),
        PLAIN,
    ),
    max_size=2,
)
FLIPS = strategies.lists(
    strategies.tuples(
        strategies.floats(0, 1),
        strategies.binary(max_size=4),
        strategies.sampled_from([None] * 3 + [0, 9, 1 << 30]),
    ),
    max_size=2,
)


def _change(tree, changes):
    """Changes a copy of a tree."""
    tree = copy.deepcopy(tree)
    for number, kind, value in changes:
        value = copy.deepcopy(value)
        places = list(_list_places(tree))
        table, key = places[number % len(places)]
        if kind == "put":
            table[key] = value
        elif kind == "delete":
            del table[key]
        elif isinstance(table, list):
            table.insert(key, value)
        elif kind == "rename":
            table[str(value)[:99]] = table.pop(key)
        else:
            name = str(value)
            table[name if len(name) < 99 else "output"] = value
        if not tree:
            return tree
    return tree


def _list_places(tree):
    """Lists where a tree has something: table and key."""
    keys = tree if isinstance(tree, dict) else range(len(tree))
    for key in [*keys]:
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from _list_places(tree[key])


# Flag files


NAMES = strategies.sampled_from([*settings.FIELDS])
_NEAR = NAMES.flatmap(
    lambda name: strategies.sampled_from(
        [f"no{name}", name[:-1], f"{name} ", name.upper(), f"-{name}", ""]
    )
)
LINES = (
    strategies.builds("--{}={}".format, NAMES, VALUES)
    | strategies.builds(
        lambda name: f"--{name}={settings.FIELDS[name].default}", NAMES
    )
    | strategies.builds("--{}={}".format, _NEAR, VALUES)
    | strategies.builds("--{}".format, NAMES | _NEAR)
    | strategies.builds('--{}="{}" # {}'.format, NAMES, VALUES, ANY_TEXT)
    | strategies.builds("--flagfile={}".format, VALUES)
    | strategies.sampled_from(
        ["--flagfile=" + name for name in ("starry", "a.cfg", "b.cfg", "..")]
    )
    | ANY_TEXT
)
ENCODINGS = strategies.sampled_from(
    ["utf-8"] * 4 + ["utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32"]
)
_FILES = strategies.tuples(
    strategies.lists(LINES, max_size=6),
    strategies.sampled_from(["\n", "\r\n", "\r"]),
    ENCODINGS,
    FLIPS | strategies.just([]),
)


@pytest.mark.usefixtures("_in_a_folder")
@both_tiers(strategies.tuples(_FILES, _FILES))
def test_flag_files_of_anybody_are_read_or_refused(example):
    for name, (lines, end, encoding, flips) in zip(
        ("a.cfg", "b.cfg"), example, strict=True
    ):
        data = end.join(lines).encode(encoding, "replace")
        Path(name).write_bytes(hostile.damage(data, flips))
    try:
        checks.check(flags.parse(["--flagfile=a.cfg"]))
    except ValueError as error:
        _check_sentence(error)


@pytest.fixture
def _in_a_folder(tmp_path, monkeypatch):
    """Works in a folder with a picture, a pipe, and a secret beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Image.new("RGB", (80, 60), "red").save("town.png")
    Path("../secret.png").write_bytes(Path("town.png").read_bytes())
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")


# Masks


HEIGHT, WIDTH = 12, 16
_ROWS, _COLUMNS = np.indices((HEIGHT, WIDTH))
PATTERNS = {  # of 0..255, [H, W] or [H, W, 3]
    "halves": 255 * (_COLUMNS < 8),
    "ramp": 17 * _COLUMNS,
    "zero-one": _COLUMNS < 8,
    "classes": _COLUMNS // 4,
    "black": 0 * _ROWS,
    "white": 255 + 0 * _ROWS,
    "colors": np.eye(3)[_COLUMNS // 6] * 250,
    "shades": np.dstack([17 * _COLUMNS, 20 * _ROWS, 0 * _ROWS]),
}
_TYPES = ["u1"] * 4 + ["?", "f4", "f8", "f2", "u2", "i8", "c8"]
_TYPES += ["O", "U3", "M8[s]"]
_ODD = [np.nan, np.inf, -np.inf, -1, 1e-320, 256, 2.0, 1e30]
_MODES = ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "I;16", "F"]
_MODES += ["CMYK", "I"]
_MASKS = strategies.fixed_dictionaries(
    {
        "pattern": strategies.sampled_from([*PATTERNS]),
        "alpha": strategies.sampled_from([None, None, *PATTERNS]),
        "dtype": strategies.sampled_from(_TYPES),
        "odd": strategies.sampled_from([None] * 4 + _ODD),
        "shape": strategies.sampled_from(
            [None] * 4
            + [(0, 0), (0, WIDTH, 3), (WIDTH, HEIGHT), (1, 1, 1, 3), (), (3,)]
            + [(HEIGHT, WIDTH, 5), (HEIGHT, WIDTH, 2), (HEIGHT, WIDTH, 1)]
        ),
        "file": strategies.none()
        | strategies.tuples(
            strategies.sampled_from(["PNG", "TIFF", "GIF", "WEBP", "JPEG"]),
            strategies.sampled_from(_MODES),
            FLIPS,
        ),
        "use": strategies.sampled_from(
            ["content_mask", "keep_mask", "strength_map", "style_mask"]
        ),
    }
)


def _make_mask(case):
    """Makes a mask: an array, or the path of a file."""
    samples = np.array(PATTERNS[case["pattern"]], float)
    alpha = case["alpha"]
    if alpha and PATTERNS[alpha].ndim == 2:
        samples = np.dstack([samples, PATTERNS[alpha]])
    if case["file"]:
        return _write_mask(samples, *case["file"])
    kind = np.dtype(case["dtype"])
    if kind.kind in "f?c":
        samples = samples / 255
    if case["odd"] is not None:
        samples[3, 4] = case["odd"]
    with np.errstate(all="ignore"):
        array = samples.astype(kind)
    return array if case["shape"] is None else np.resize(array, case["shape"])


def _write_mask(samples, form, mode, flips):
    """Writes a mask as a file of some mode, if the format has it."""
    image = Image.fromarray(samples.astype("u1"))
    file = io.BytesIO()
    if mode.startswith("I"):
        form = "TIFF"  # TensorFlow reads the other one
    try:
        image.convert("RGBA").convert(mode).save(file, form)
    except (OSError, ValueError):
        image.convert("L").save(file, "PNG")
    Path("mask").write_bytes(hostile.damage(file.getvalue(), flips))
    return "mask"


@pytest.mark.usefixtures("_in_a_folder")
@both_tiers(_MASKS)
def test_masks_of_anybody_are_read_or_refused(case):
    mask = _make_mask(case)
    chosen = {case["use"]: mask}
    if case["use"] == "style_mask":
        chosen = {"style_mask": (mask,), "content_mask": mask}
    picture = np.full((HEIGHT, WIDTH, 3), 0.5, "f4")
    try:
        plain, given = arrays.separate_arrays(chosen)
        job = settings.Job(**plain, max_megapixels=0.1)
        read = inputs.take_inputs(job, picture, picture, given)
        places = style_regions.find_regions(
            job, read.content, read.styles, read.others
        ).regions
        keep = style_regions.read_keep_mask(read.content, read.others)
    except (ValueError, TypeError) as error:
        _check_sentence(error)
        return
    for weights in [keep, *(place.mask for place in places)]:
        if weights is not None:
            weights = weights + np.zeros((HEIGHT, WIDTH))
            assert weights.shape == (HEIGHT, WIDTH)
            assert weights.min() >= 0 and weights.max() <= 1  # no NaN, either


# Records


def _picture(name):
    return {"name": name, "size": [80, 60], "digest": "sha256:" + "0" * 64}


RECORD = {
    "nst_tf": "0.1.0",
    "made": "2026-01-02T03:04:05+00:00",
    "flags": {
        "size": 96,
        "strength": 0.5,
        "style_scale": [1.0],
        "color": "style",
        "init": "town.png",
    },
    "decided": {
        "sizes": [[64, 48], [96, 72]],
        "steps": [3, 3],
        "precision": "float32",
        "seed": 7,
        "settings": {
            **{
                n: settings.FIELDS[n].default for n in sorted(settings.RECORDED)
            },
            "steps": [50, 40],
            "tile": 0,
            "content_target": "keep",
        },
    },
    "inputs": {
        "content": _picture("town.png"),
        "style": [_picture("town.png"), _picture("town.png")],
        "keep_mask": _picture("town.png"),
        "init": _picture("town.png"),
    },
    "network": {
        "name": "vgg19",
        "weights": "auto",
        "digest": bundled.VGG19.digest,
    },
    "state": "done",
    "losses": {"content/a": 2.5, "style/b": 1e-3},
    "rescues": 0,
    "seconds": 1.5,
    "device": "a card",
    "versions": records.list_versions(),
}
_RECORDS = strategies.tuples(
    CHANGES, FLIPS | strategies.just([]), strategies.booleans()
)
_opened: list[str] | None = None  # while an example runs


def _watch(event, arguments):
    """Notes what is opened."""
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


@pytest.fixture(scope="module", autouse=True)
def _watched():
    sys.addaudithook(_watch)


@pytest.mark.usefixtures("_in_a_folder")
@both_tiers(_RECORDS)
def test_records_of_anybody_lead_nowhere(example):
    global _opened
    changes, flips, is_kept = example
    record = copy.deepcopy(RECORD)
    if is_kept:  # so that the inputs are found
        digest = files.digest_file(Path("town.png"))
        for table, key in _list_places(record["inputs"]):
            if key == "digest":
                table[key] = digest
    data = json.dumps(_change(record, changes)).encode()
    Image.new("RGB", (9, 9)).save("a.bmp")
    writing.sidecar_path(Path("a.bmp")).write_bytes(hostile.damage(data, flips))
    _opened = []
    try:
        _describe_and_load()
    finally:
        opened, _opened = _opened, None
    own = str(Path.cwd()), *map(str, (files.presets_folder(), sys.prefix))
    for path in opened:
        if path.startswith(("/etc/", "/dev/", "/proc/self/p")):
            assert path.startswith(own), path
        assert "secret" not in path and "pipe" not in path, path


def _describe_and_load():
    """Reads the record of a.bmp by --describe and by --rerun."""
    try:
        lines = description.describe("a.bmp")
    except ValueError as error:
        _check_sentence(error)
    else:
        known = {"content", "style", "weights"}
        known |= settings.RECORDED | record_checks.OTHERS
        for line in lines:
            assert line.isprintable() and line.startswith(("# ", "--")), line
        written = [line for line in lines if line[0] == "-"]
        Path("again.cfg").write_text("\n".join(written))
        assert flags.read(["--flagfile=again.cfg"]).names <= known
        job = flags.parse(["--flagfile=again.cfg"])
        assert not job.output and not job.overwrite and not job.log
    try:
        job = rerun.load(settings.Job(rerun="a.bmp"), {"rerun"}).job
    except ValueError as error:
        _check_sentence(error)
        return
    checks.check(job)
    for name in settings.PROGRAM_SETTINGS - {"rerun"}:
        assert getattr(job, name) == settings.FIELDS[name].default
    assert not job.overwrite and "/" not in job.output
    for path in (job.content, *job.style, job.keep_mask, job.init, job.weights):
        assert ".." not in path and not path.startswith(("/", "~", "http"))


# Checkpoints


SHAPES = {
    "image": ((1, 6, 8, 3), "f"),
    "adam/m": ((1, 6, 8, 3), "f"),
    "step": ((), "i"),
    "steps taken": ((3,), "i"),
}
OTHERS = {"losses": ((5,), "f")}
HEAD = {
    "level": 1,
    "steps": 3,
    "identity": {
        "size": 96,
        "style images": "sha256:0",
        "level sizes": [[6, 8]],
    },
    "notes": {"tile": 0, "content_target": "keep"},
}
_ARRAYS = {
    name: np.full(shape, 3, {"f": "f4", "i": "i8"}[kind])
    for name, (shape, kind) in {**SHAPES, **OTHERS}.items()
}
_ODD_ARRAYS = [
    np.full((1, 6, 8, 3), np.nan, "f4"),
    np.full((1, 6, 8, 3), -np.inf, "f4"),
    np.full((1, 6, 8), 3, "f4"),
    np.array(-1),
    np.array(["a"]),
    np.array([None, {}]),
    np.zeros(0),
    np.zeros((2**20, 4), "u1"),
    np.zeros(3, [("a", "f4"), ("b", "i8")]),
]
_CHECKPOINTS = strategies.tuples(
    CHANGES,
    strategies.lists(
        strategies.tuples(
            strategies.sampled_from(
                [*_ARRAYS, "other", "../a", "head", "\x1b"]
            ),
            strategies.sampled_from([None, *_ODD_ARRAYS]),
        ),
        max_size=1,
    ),
    strategies.sampled_from(["ours", "ours", "zip", "deflated", "twice"]),
    FLIPS,
)


@pytest.mark.usefixtures("_in_a_folder")
@both_tiers(_CHECKPOINTS)
def test_checkpoints_of_anybody_are_whole_or_refused(example):
    changes, arrays, how, flips = example
    path = Path("000001.checkpoint.npz")
    head = _change(HEAD, changes)
    stored = {**_ARRAYS, **dict(arrays)}
    stored = {n: each for n, each in stored.items() if each is not None}
    path.write_bytes(hostile.damage(_pack_checkpoint(head, stored, how), flips))
    is_ours = how == "ours" and not arrays
    try:
        found = state_file.read_head(path)
        assert found["level"] >= 0 and found["steps"] >= 1
        assert isinstance(found["identity"], dict)
        read = state_file.read_arrays(path, SHAPES, OTHERS)
    except state_file.DamageError as error:
        assert len(str(error).splitlines()) == 1
        assert not (is_ours and not changes and not flips)
        return
    assert SHAPES.keys() <= read.keys() <= {*SHAPES, *OTHERS}
    for name, array in read.items():
        shape, kind = {**SHAPES, **OTHERS}[name]
        assert (array.shape, array.dtype.kind) == (shape, kind)
        assert np.isfinite(array).all()
        if is_ours:  # the digest holds whatever became of the file
            np.testing.assert_array_equal(array, _ARRAYS[name])
    state_file.is_whole(path)


def _pack_checkpoint(head, arrays, how):
    """Writes a checkpoint: as we do, or as a zip that somebody made."""
    file = io.BytesIO()
    if how == "ours" and all(a.dtype != object for a in arrays.values()):
        state_file.write(file, head, arrays)
        return file.getvalue()
    packing = zipfile.ZIP_DEFLATED if how == "deflated" else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, array in {
            **arrays,
            "head": np.array(json.dumps(head)),
        }.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=True)
            for _ in range(2 if how == "twice" else 1):
                with warnings.catch_warnings():  # two members of a name
                    warnings.simplefilter("ignore")
                    archive.writestr(f"{name}.npy", member.getvalue())
    return file.getvalue()
