"""Records of films, from files of which nothing is to be trusted."""

import json
import shlex

import pytest

from nst_tf.cli import entry
from nst_tf.plan import settings
from nst_tf.runs import description, records
from nst_tf.video import command_line, preparing

av = pytest.importorskip("av")


def _make(**changes):
    """A record; changes are of its parts."""
    options = command_line.Options(
        start="0:01.5",
        look_back=(1, 3),
        temporal_weight=30.0,
        flow="/home/ada/flows",
        work_dir="/home/ada/work",
        keep_frames=True,
        report="/home/ada/r.json",
    )
    job = settings.Job(
        content="/home/ada/clip.mp4",
        style=("https://ada:key@example.com/b.jpg?token=1", "a/night.jpg"),
        init="/home/ada/first.png",
        weights="small",
        strength=0.5,
    )
    text = preparing.make_record(preparing.Film(options, job, *6 * [None]))
    return json.dumps({**json.loads(text), **changes})


def _write(path, text):
    """A film of one frame, with a text in place of its record."""
    codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    with av.open(str(path), "w") as file:
        file.metadata[records.FILM_TAG] = text
        stream = file.add_stream(codec, rate=24)
        stream.height = stream.width = 32
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame(32, 32, "yuv420p")
        frame.pts = 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["o.mp4", "O.WEBM"])
def test_a_record_is_read_as_it_was_written(tmp_path, name):
    path = tmp_path / name
    _write(path.with_suffix(path.suffix.lower()), _make()).rename(path)
    assert records.read_film_record(path) == json.loads(_make())


def test_it_has_neither_folders_nor_secrets_nor_the_time():
    text = _make()
    assert not [
        word
        for word in ("/home", "key", "token", "first.png", "made", "seconds")
        if word in text
    ]
    assert text == _make()


def test_it_is_described_as_a_flag_file(tmp_path, capsys):
    path = _write(tmp_path / "o.mp4", _make())
    assert entry.main([f"--describe={path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [each for each in lines if each[0] != "#"] == [
        "--strength=0.5",
        "--weights=small",
    ]
    text = "\n".join(lines)
    assert "# content: clip.mp4\n# style: b.jpg\n# style: night.jpg" in text
    typed = "--start=0:01.5 --flow=flows --look_back=1,3 --temporal_weight=30.0"
    assert f"to type: {typed}\n" in text
    assert f"PyAV {av.__version__}" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"film": {"start": "1\n--report=x.json"}},
        {"film": {"start\n--report=x.json": "1"}},
        {"content": "a\u2028--report=x.json"},
        {"style": ["\x1b[31m\r--report=x.json"]},
        {"weights": "/etc/passwd"},
        {"flags": {"strength": 0.5, "report": "x.json", "output": "/etc/a"}},
    ],
)
def test_a_flag_file_of_a_film_names_no_file(tmp_path, changes):
    path = _write(tmp_path / "o.mp4", _make(**changes))
    lines = description.describe(path)
    flags = {each for each in lines if each[0] != "#"}
    assert flags <= {"--strength=0.5", "--weights=small"}
    assert all(each.isprintable() for each in lines)


def test_what_is_typed_of_a_film_runs_no_command(tmp_path):
    film = {"start": "1; rm -r x", "end$(rm x)": "`rm x`", "flow": "it's"}
    path = _write(tmp_path / "o.mp4", _make(film=film))
    (typed,) = (
        each.partition("to type: ")[2]
        for each in description.describe(path)
        if "to type: " in each
    )
    given = [f"--{name}={value}" for name, value in film.items()]
    assert shlex.split(typed) == given
    punctuated = shlex.shlex(typed, posix=True, punctuation_chars=True)
    punctuated.whitespace_split = True
    assert [*punctuated] == given


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A harbor at night.",
        "[" * 100_000,
        "{}",
        _make(flags={"strength": "high"}),
        _make(flags={"size": 10**18}),
        _make(film={"start": 1}),
        _make(style="night.jpg"),
        _make(content="x" * 5000),
    ],
    ids=range(9),
)
def test_what_is_no_record_is_refused_in_a_sentence(tmp_path, capsys, text):
    path = _write(tmp_path / "o.mp4", text)
    assert entry.main([f"--describe={path}"]) == 1
    assert "o.mp4 has no record; expected an unedited film of nst-tf-video" in (
        capsys.readouterr().err
    )


def test_a_truncated_film_and_one_of_others_are_refused(tmp_path):
    path = _write(tmp_path / "o.mp4", _make())
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(ValueError, match="o.mp4 has no record"):
        description.describe(path)
    with av.open(str(path), "w") as file:  # without metadata
        stream = file.add_stream("libx264", rate=24)
        stream.height = stream.width = 32
        stream.pix_fmt = "yuv420p"
        file.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        file.mux(stream.encode())
    with pytest.raises(ValueError, match="o.mp4 has no record"):
        description.describe(path)


def test_what_is_no_film_is_refused(tmp_path):
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\nhttp://localhost:1/a.ts\n")
    with pytest.raises(ValueError, match="list.mp4 has no record"):
        records.read_film_record(playlist)
    with pytest.raises(ValueError, match="there is no file .*none.mp4"):
        records.read_film_record(tmp_path / "none.mp4")
