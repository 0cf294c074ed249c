"""The flags of films: how they are read, bounded, and recorded."""

from fractions import Fraction

import pytest

from nst_tf.video import command_line

FILM = "clip.mp4", "painting.png"


def _select(*flags):
    return command_line.read([*FILM, *flags]).selection


def test_without_flags_the_whole_film_is_painted():
    assert _select() == (Fraction(0), None, None, 0)
    options = command_line.read(FILM).options
    assert options == command_line.Options()
    assert (options.crf, options.flow, options.passes) == (18, "dis", 1)
    assert (options.look_back, options.temporal_weight) == ((1, 2, 4), 50.0)
    assert (options.frame_steps, options.keep_frames) == (0, False)
    job = command_line.read(FILM).job
    assert (job.content, job.style) == ("clip.mp4", ("painting.png",))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("2.5", Fraction(5, 2)), ("0", 0), ("1:30", 90), ("0:01.5", 1.5)),
        *(("1:00:02", 3602), ("10:20:30", 37230)),
    ],
)
def test_times_are_seconds_or_hours_and_minutes(text, seconds):
    assert _select(f"--start={text}").start == seconds
    if seconds:
        assert _select(f"--end={text}").end == seconds


@pytest.mark.parametrize("text", ["1:2:3:4", "-1", "1:-1", "1/2", "x", ":"])
def test_odd_times_are_refused(text):
    for name in ("start", "end"):
        with pytest.raises(ValueError, match=f"{name} is .*, expected seconds"):
            _select(f"--{name}={text}")


def test_the_end_is_after_the_start():
    assert _select("--start=1", "--end=1.1")[:2] == (1, Fraction(11, 10))
    with pytest.raises(ValueError, match="end is 1, but start is 1; end after"):
        _select("--start=1", "--end=1")
    with pytest.raises(ValueError, match="end is 0, but start is 0; end after"):
        _select("--end=0")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        *(("24", Fraction(24)), ("23.976", Fraction(23976, 1000))),
        *(("24000/1001", Fraction(24000, 1001)), ("1000", Fraction(1000))),
        *(("0.001", Fraction(1, 1000)), ("0.0009", None), ("1000.1", None)),
        *(("1/0", None), ("fast", None), ("-24", None)),
    ],
)
def test_a_rate_is_a_number_or_a_fraction(text, rate):
    if rate is None:
        with pytest.raises(ValueError, match="fps is .*, expected frames a s"):
            _select(f"--fps={text}")
    else:
        found = _select(f"--fps={text}").fps
        assert isinstance(found, Fraction) and found == rate


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("preview_frames", [0, 1], [-1]),
        ("crf", [0, 63], [-1, 64]),
        ("look_back", ["1", "64", "4,2"], ["0", "65", "1,2,1", ""]),
        ("temporal_weight", [0, 1e12], [-0.1, 1.1e12]),
        ("frame_steps", [0, 10**6], [-1, 10**6 + 1]),
        ("passes", [1, 100], [0, 101]),
    ],
)
def test_flags_have_bounds(name, valid, invalid):
    for value in valid:
        command_line.read([*FILM, f"--{name}={value}"])
    for value in invalid:
        with pytest.raises(ValueError, match=name):
            command_line.read([*FILM, f"--{name}={value}"])


def test_a_report_is_a_json_file_and_a_film_is_named():
    report = command_line.read([*FILM, "--report=a.JSON"]).options.report
    assert report == "a.JSON"
    with pytest.raises(ValueError, match="no film; type nst-tf-video clip.mp4"):
        command_line.read([])


@pytest.mark.parametrize(
    "flag",
    [
        *("checkpoint_dir=c", "checkpoint_every=9", "continue_from=a.png"),
        *("print_size=10x10cm", "dpi=300", "quality=90", "max_seconds=9"),
    ],
)
def test_flags_of_single_pictures_are_refused(flag):
    name = flag.partition("=")[0]
    with pytest.raises(ValueError, match=name):
        command_line.read([*FILM, f"--{flag}"])


def test_flags_that_decide_a_film_are_recorded_if_they_were_chosen():
    assert command_line.list_recorded(command_line.Options()) == {}
    chosen = command_line.Options(
        start="1", look_back=(1, 3), flow="a/flows/", crf=20, passes=2
    )
    assert command_line.list_recorded(chosen) == {
        **{"start": "1", "crf": "20", "flow": "flows", "look_back": "1,3"},
        "passes": "2",
    }
    hidden = command_line.Options(work_dir="w", keep_frames=True, report="r")
    assert command_line.list_recorded(hidden) == {}
