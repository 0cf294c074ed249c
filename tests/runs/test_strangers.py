"""Records that a stranger wrote: nothing is followed, and nothing believed."""

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
import toys

from nst_tf import files, urls
from nst_tf.cli import flags, main
from nst_tf.images import image_io, reading, sources, writing
from nst_tf.network import weight_files
from nst_tf.plan import settings
from nst_tf.runs import api, description, record_checks, records, rerun

pytestmark = pytest.mark.usefixtures("folder", "offline")
# What a description may have as flags.
FLAGS = settings.RECORDED | record_checks.OTHERS
FLAGS |= {"content", "style", "weights"}


@pytest.fixture
def offline(monkeypatch):
    """Fails where an address is asked."""

    def ask(address, **_):
        raise AssertionError(address)

    monkeypatch.setattr(urls, "download", ask)


def _make_record(*typed):
    """Records a run that is not made, as plain JSON."""
    job = flags.parse(["--flagfile=toy.cfg", *typed])
    draft = api.draft_files(job)
    steps = [level.steps for level in draft.levels]
    outcome = records.Outcome(steps, "done", {"a": 1.5}, 0, 1.2, "a card")
    return json.loads(json.dumps(records.make_record(job, draft, outcome)))


def _save(record, name="a.png"):
    """Writes a picture with a record, or any text in its place."""
    text = record if isinstance(record, str) else json.dumps(record)
    options = writing.Options(record=text)
    image_io.write_image(name, toys.image(9, 9), options)


def _load(record, **asked):
    _save(record)
    job = settings.Job(rerun="a.png", **asked)
    return rerun.load(job, {"rerun", *asked}).job


def _describe(record):
    """The lines of a description that are flags, and those that are notes."""
    _save(record)
    lines = description.describe("a.png")
    assert not any(line.splitlines()[1:] for line in lines)
    written = [line for line in lines if not line.startswith("#")]
    return written, [line for line in lines if line.startswith("#")]


def _hostile_names():
    Path("sub").mkdir()
    shutil.copy("town.png", "sub")
    shutil.copy("town.png", "~")
    return [
        str(Path("town.png").absolute()),
        *("../town.png", "sub/town.png", "sub\\town.png", "././town.png"),
        *("..", ".", "", "./", "./..", "-", "C:town.png", "town.png\0", "\\"),
        *("/proc/self/pagemap", "file:///etc/passwd", "//host/share/town.png"),
        *("https://jane:word@host/town.png?key", "http://127.0.0.1/town.png"),
    ]


def test_paths_and_addresses_are_shown_and_never_followed():
    parent = Path("..") / "town.png"
    shutil.copy("town.png", parent)
    record = _make_record("--keep_mask=town.png", "--init=town.png")
    assert _load(record).content == "./town.png"
    for name in _hostile_names():
        for field in ("content", "keep_mask", "init"):
            changed = copy.deepcopy(record)
            changed["inputs"][field]["name"] = name
            words = f"not followed. If you trust it, .*--{field}=PATH"
            with pytest.raises(ValueError, match=words) as caught:
                _load(changed)
            assert "word" not in str(caught.value)
            assert (
                getattr(_load(changed, **{field: "town.png"}), field)
                == "town.png"
            )
            written, notes = _describe(changed)
            if field != "init":  # of which the flags tell
                assert not any(f"--{field}=" in line for line in written)
                assert any(f"# --{field}= is not set" in line for line in notes)
    parent.unlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_only_regular_files_of_some_size_are_opened(monkeypatch):
    monkeypatch.setattr(reading, "LEAST_BYTES", 10**6)
    record = _make_record()
    town = Path("town.png").rename("village.png").read_bytes()
    place = Path("town.png")
    for make in (
        lambda: os.mkfifo(place),
        lambda: place.symlink_to("/proc/self/pagemap"),
        lambda: place.symlink_to("/dev/zero"),
        lambda: place.symlink_to(place),
        lambda: place.mkdir(),
        lambda: place.write_bytes(b""),
        lambda: os.truncate(os.open(place, os.O_CREAT | os.O_RDWR), 1 << 40),
    ):
        make()
        with pytest.raises(ValueError, match=r"\./town.png has other contents"):
            _load(record)
        place.rmdir() if place.is_dir() else place.unlink()
    place.symlink_to("village.png")  # the same file, by another name
    assert _load(record).content == "./town.png"
    assert (
        files.digest_regular_file(place, len(town))
        == (record["inputs"]["content"]["digest"])
    )
    assert not files.digest_regular_file(place, len(town) - 1)
    # The record beside a picture.
    image_io.save_image("b.png", toys.image(9, 9))
    for make in (
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/proc/self/pagemap"),
        lambda path: path.write_bytes(b"\xff{}"),
        lambda path: path.mkdir(),
    ):
        make(Path("b.png.json"))
        with pytest.raises(ValueError, match="has no record"):
            description.describe("b.png")
        path = Path("b.png.json")
        path.rmdir() if path.is_dir() else path.unlink()


def test_what_has_no_digest_is_not_read():
    record = _make_record("--init=town.png")
    for name in ("content", "init"):
        changed = copy.deepcopy(record)
        changed["inputs"][name]["digest"] = ""
        with pytest.raises(ValueError, match=r"town\.png has other contents"):
            _load(changed)
    del record["inputs"]["init"]
    for call in (_load, _describe):
        with pytest.raises(ValueError, match="a file whose digest is missing"):
            call(record)


def test_weights_are_read_by_the_digest_of_their_file(monkeypatch):
    record = _make_record()
    assert record["network"]["file"] == files.digest_file(Path("toy.h5"))
    assert _load(record).weights == "./toy.h5"

    def read(*_):
        raise AssertionError("it is opened")

    monkeypatch.setattr(weight_files, "read", read)
    for change in (
        lambda network: network.pop("file"),
        lambda network: network.update(file=""),
        lambda network: network.update(file="sha256:0"),
        lambda network: network.update(weights=str(Path("toy.h5").absolute())),
        lambda network: network.update(weights="none.h5"),
        lambda network: network.update(weights="http://host/toy.h5"),
    ):
        changed = copy.deepcopy(record)
        change(changed["network"])
        with pytest.raises(
            ValueError, match=r"were not found \(.*--weights=PA"
        ):
            _load(changed)
        assert _load(changed, weights="toy.h5").weights == "toy.h5"


def test_a_download_is_found_by_its_digest():
    record = _make_record()
    record["inputs"]["content"]["name"] = "https://host/a.png"
    cached = sources.find_cached("https://jane:word@host/a.png?key")
    cached.parent.mkdir(parents=True)
    shutil.copy("paint.png", cached.with_name("other"))
    shutil.copy("town.png", cached)
    assert _load(record).content == str(cached)
    written, _ = _describe(record)
    assert not any("--content=" in line for line in written)


HOSTILE = [
    "a\n--overwrite",
    "a\r--log=b",
    "a\u2028--log=b",
    "--log=b",
    "#",
    " a",
]


def test_a_description_has_known_flags_only():
    mask = {"name": "town.png", "size": [3, 4], "digest": ""}
    record = _make_record("--keep_mask=town.png")
    unknown = ["output", "log", "overwrite", "rerun", "odd", "style_mask"]
    unknown += ["style_mask/x", "keep_mask/0", "init/0", "a\n--log=b"]
    for name in unknown:
        record["inputs"][name] = mask
        record["flags"][f"{name}!"] = record["flags"][name[:9]] = "x"
    del record["flags"]["keep_mask"], record["flags"]["style_mas"]
    record["decided"]["settings"]["checkpoint_dir"] = "x"
    written, notes = _describe(record)
    names = {line.removeprefix("--").partition("=")[0] for line in written}
    assert names <= FLAGS and "keep_mask" in names
    assert "output" in notes[-1] and "log" in notes[-1]
    with pytest.raises(ValueError, match="which this version does not have"):
        _load(record)


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_becomes_another_flag(value):
    record = _make_record("--keep_mask=town.png", "--init=town.png")
    for name in ("content", "keep_mask"):
        record["inputs"][name]["name"] = value
    record["inputs"]["style"][0]["name"] = value
    record["flags"] |= {"init": value, "content_layers": value}
    record["flags"] |= {"style_layers": [value], "print_size": value}
    record["network"]["weights"] = value
    for name in ("device", "made", "nst_tf", "state"):
        record[name] = value
    record["versions"][value] = value
    record["losses"][value] = 1.0
    written, _ = _describe(record)
    Path("again.cfg").write_text("\n".join(written))
    names = flags.read(["--flagfile=again.cfg"]).names
    assert names <= FLAGS
    job = flags.parse(["--flagfile=again.cfg"])
    assert (job.output, job.overwrite, job.log) == ("", False, "")


def test_a_strangers_picture_replaces_no_file(painter):
    record = _make_record()
    mine = Path("mine.png")
    shutil.copy("paint.png", mine)
    for name in ("output", "overwrite", "log"):
        record["inputs"][name] = {"name": "mine.png", "size": [1, 1]}
        record["inputs"][name]["digest"] = ""
        record["flags"][name] = True if name == "overwrite" else "mine.png"
    written, _ = _describe(record)
    Path("again.cfg").write_text("\n".join(written))
    assert main.main(["--flagfile=again.cfg"]) == 0
    assert mine.read_bytes() == Path("paint.png").read_bytes()
    assert main.main(["--rerun=a.png"]) == 1


NUMBERS = ["1e400", "-1e400", "NaN", "Infinity", "1" * 400, "-" + "9" * 5000]
PLACES = [
    ("decided", "settings", "learning_rate"),
    ("decided", "settings", "epsilon"),
    ("decided", "settings", "levels"),
    ("flags", "size"),
    ("losses", "a"),
    ("decided", "seed"),
    ("decided", "steps", 0),
    ("decided", "sizes", 0, 0),
    ("inputs", "content", "size", 0),
    ("seconds",),
    ("rescues",),
    ("unknown",),
]


@pytest.mark.parametrize("place", PLACES)
def test_absurd_numbers_are_one_sentence(place):
    record = _make_record()
    within = record
    for key in place[:-1]:
        within = within[key]
    within[place[-1]] = "@"
    nested = "[" * 10**5 + "]" * 10**5
    for number in (*NUMBERS, nested, "{" * 10**5, '[1,"\\ud800"]'):
        if place[-1] == "unknown" and number.endswith('"]'):
            continue  # nobody reads it
        text = json.dumps(record).replace('"@"', number)
        for call in (_load, _describe):
            with pytest.raises(ValueError, match=r"^a\.png .*\.$") as caught:
                call(text)
            assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["flags"].update(size=0), "size is 0, expected at least 1"),
        (lambda r: r["flags"].update(size="3"), "size is '3' of type str"),
        (lambda r: r["flags"].update(steps=[3, [4]]), "steps is "),
        (lambda r: r["flags"].update(steps=[3] * 1001), "too long"),
        (lambda r: r["flags"].update(bit_depth=True), "bit_depth is True"),
        (lambda r: r["flags"].update(color="pink"), "unknown color 'pink'"),
        (lambda r: r["flags"].update(content_layers=None), "is None of type"),
        (lambda r: r["flags"].update(init={}), "init is {}"),
        (
            lambda r: r["inputs"].update(style=r["inputs"]["style"] * 1001),
            "no record",
        ),
        (lambda r: r["inputs"]["content"].update(name="a" * 4097), "no record"),
        (
            lambda r: r["inputs"]["content"].update(size=[1 << 21, 1]),
            "no record",
        ),
        (lambda r: r["decided"].update(sizes=[], steps=[]), "no record"),
        (lambda r: r["decided"].update(steps=[10**7] * 3), "no record"),
        (lambda r: r.update(made="a" * 4097), "no record"),
        (lambda r: r.update(odd="a" * (1 << 20)), "no record"),
    ],
)
def test_values_are_of_their_type_and_range(change, words):
    record = _make_record()
    _describe(record)
    change(record)
    Path("a.png.json").write_text(json.dumps(record))
    image_io.save_image("a.png", toys.image(9, 9))
    for call in (
        lambda: description.describe("a.png"),
        lambda: rerun.load(settings.Job(rerun="a.png"), {"rerun"}),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            call()
        assert str(caught.value).startswith("a.png ")
