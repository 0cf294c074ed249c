"""The table of conflicts, pair by pair: typed, in files, from Python."""

import dataclasses
import itertools

import numpy as np
import pytest

import nst_tf
from nst_tf import files
from nst_tf.cli import flags, sweeps
from nst_tf.plan import checks, conflicts, settings

PAIRS = [(row, other) for row in conflicts.CONFLICTS for other in row.others]
WORDS = {
    "print_size": "A4",
    "device": "gpu:1",
    "content_layers": "block1_conv1",
    "neighbors_layers": "block1_conv1",
    "style_layers": "block1_conv1",
    "sweep": "seed:1,2",
    "checkpoint_every": "5",
}


def _values(name):
    """Values that a setting may have, besides its default."""
    field = settings.FIELDS[name]
    rules = field.metadata
    words = rules.get("choices", rules.get("keywords"))
    candidates = words or [WORDS.get(name, "a.png"), 0.5, 3, 1, 50]
    kind = settings.ITEM_TYPES.get(field.type)
    if field.type is bool:
        candidates = [not field.default]
    for value in candidates:
        value = (value,) if kind else value
        try:
            checks.check_field(field, value)
        except (TypeError, ValueError):
            continue
        if value != field.default:
            yield value


def _find(row, other):
    """Values of two settings, and the job of both, that conflict."""
    for pair in itertools.product(_values(row.setting), _values(other)):
        job = settings.Job(**dict(zip((row.setting, other), pair, strict=True)))
        if row.holds(job):
            return job
    raise AssertionError(row)


def _name(value):
    return value if isinstance(value, str) else value.setting


@pytest.mark.parametrize(("row", "other"), PAIRS, ids=_name)
def test_two_settings_that_conflict_are_refused_at_one_distance(
    tmp_path, row, other
):
    job = _find(row, other)
    both = settings.format_flags(job)
    words = f"--{row.setting} and --{other} are both given"
    with pytest.raises(
        ValueError, match=f"^{words}, but .*remove one of them.$"
    ):
        flags.read(both)
    path = tmp_path / "a.cfg"
    path.write_text("\n".join(both))
    with pytest.raises(ValueError, match=f"^{words} in flag file {path}, but"):
        flags.read([f"--flagfile={path}"])
    with pytest.raises(ValueError, match=f"^{words}, but"):
        conflicts.check(job)
    if {row.setting, other} <= settings.KEYWORDS:
        chosen = {n: getattr(job, n) for n in (row.setting, other)}
        image = np.zeros((32, 32, 3), np.float32)
        words = words.replace("--", "")
        with pytest.raises(ValueError, match=f"^{words}, but"):
            nst_tf.stylize(image, image, **chosen)


@pytest.mark.parametrize(("row", "other"), PAIRS, ids=_name)
def test_of_two_distances_the_nearer_one_stays_with_one_note(
    tmp_path, row, other
):
    job = _find(row, other)
    path, base = tmp_path / "a.cfg", tmp_path / "base.cfg"
    for near, far in ((row.setting, other), (other, row.setting)):
        typed, filed = (
            settings.format_flags(settings.Job(**{name: getattr(job, name)}))
            for name in (near, far)
        )
        note = f"--{near} overrides --{far} of flag file "
        default = getattr(settings.Job, far)
        path.write_text("\n".join(filed))
        request = flags.read([*typed, f"--flagfile={path}"])
        assert request.notes == [f"{note}{path}"]
        assert request.job == dataclasses.replace(job, **{far: default})
        base.write_text("\n".join(filed))
        path.write_text("\n".join([*typed, "--flagfile=base.cfg"]))
        assert flags.read([f"--flagfile={path}"]).notes == [f"{note}{base}"]


@pytest.mark.parametrize("name", files.list_presets())
def test_no_preset_has_a_conflict(name):
    assert not flags.read([f"--flagfile={name}"]).notes


@pytest.mark.parametrize(
    "typed",
    [
        ["--strength=0.7", "--min_size=256", "--neighbors_weight=1"],
        ["--strength=-1", "--style_weight=3"],
        ["--print_size=A4", "--dpi=150"],
        ["--print_size=", "--size=128"],
        ["--continue_from=a.png", "--init_noise=0"],
        ["--optimizer=lbfgs", "--learning_rate=0.1", "--history=20"],
        ["--optimizer=auto", "--beta_1=0.5"],
        ["--learning_rate=0.02", "--history=20"],
        ["--device=gpu:1", "--devices=1"],
        ["--sheet", "--size=999", "--log=", "--preview_every=0"],
        ["--convention=keras", "--style_loss=gram"],
        ["--content_weight=0", "--content_layers=block1_conv1"],
    ],
)
def test_what_goes_together_is_no_conflict(typed):
    request = flags.read(typed)
    assert not request.notes
    conflicts.check(request.job)


def test_a_nearer_setting_takes_the_place_of_all_that_it_decides():
    request = flags.read(["--flagfile=neural_style_pt", "--strength=0.7"])
    job, (note,) = request.job, request.notes
    assert note.replace(f"{files.presets_folder()}/", "") == (
        "--strength overrides --content_weight, --style_weight of flag file "
        "neural_style.cfg; --tv_weight, --convention of flag file "
        "neural_style_pt.cfg"
    )
    assert (job.strength, job.convention) == (0.7, "relative")
    assert (job.style_weight, job.tv_weight) == (100, 50)


def test_a_sweep_takes_the_place_of_what_is_given(caplog):
    caplog.set_level("INFO", "nst_tf")
    job = flags.parse(["--style_weight=3", "--sweep=strength:0.2,0.8"])
    (row,) = sweeps.make_grid(job)
    assert [point.job.strength for point in row] == [0.2, 0.8]
    assert {point.job.style_weight for point in row} == {100.0}
    assert caplog.messages == ["--strength overrides --style_weight"]
    job = flags.parse(["--print_size=A4", "--sweep=size:64,96"])
    (row,) = sweeps.make_grid(job)
    assert [(p.job.size, p.job.print_size) for p in row] == [(64, ""), (96, "")]
    caplog.clear()
    sweeps.make_grid(flags.parse(["--sheet", "--size=99"]))
    assert not caplog.messages


def test_an_old_record_tells_what_had_no_effect():
    job = settings.Job(strength=0.5, style_weight=3.0, min_size=64)
    idle = conflicts.list_without_effect(job)
    assert idle == {"content_weight", "style_weight", "tv_weight"}
    assert not conflicts.list_without_effect(settings.Job())
