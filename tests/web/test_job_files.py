"""Previews, results and states of jobs: their sizes, and what is kept."""

import types

import numpy as np
import pretend
import pytest
import toys
from PIL import Image

from nst_tf.images import image_io
from nst_tf.web import job_files, storage, upload_check


@pytest.mark.parametrize(
    ("shape", "side", "size"),
    [
        ((30, 40), 40, (40, 30)),
        ((30, 40), 20, (20, 15)),
        ((40, 30), 39, (29, 39)),
        ((40, 30), 41, (30, 40)),
    ],
)
def test_a_view_is_at_most_so_large(shape, side, size):
    image = toys.image(*shape)
    view = upload_check.make_view(image, side)
    assert (view.size, view.mode) == (size, "RGB")
    if view.size == shape[::-1]:
        expected = np.rint(255 * image).astype("u1")
        np.testing.assert_array_equal(np.asarray(view), expected)


def test_an_upload_has_a_view_of_1600_pixels(tmp_path, capsys):
    path = tmp_path / "original"
    for width, expected in ((1600, (1600, 4)), (3200, (1600, 2))):
        Image.new("RGB", (width, 4)).save(path, "PNG")
        upload_check.main(str(path))
        assert str([width, 4]) in capsys.readouterr().out
        assert Image.open(tmp_path / "view.jpg").size == expected


@pytest.mark.parametrize("side", [768, 48])
def test_previews_are_small_and_finished_as_results(
    toy, tmp_path, monkeypatch, side
):
    assert (job_files.PREVIEW_SIDE, job_files.SMALL_SIDE) == (768, 320)
    monkeypatch.setattr(job_files, "PREVIEW_SIDE", side)
    mask = np.zeros((60, 80, 3), "f4")
    mask[:, :40] = 1
    image_io.save_image(tmp_path / "m.png", mask)
    plan = pretend.draft(toy, keep_mask=str(tmp_path / "m.png"))
    small = job_files.shrink(plan)
    size = (96, 72) if side == 768 else (48, 36)
    assert small.inputs.content.pixels.shape == (*size[::-1], 3)
    assert small.inputs._replace(content=None) == plan.inputs._replace(
        content=None
    )
    step = types.SimpleNamespace(optimizer=pretend.Optimizer(72, 96))
    monkeypatch.setattr(
        job_files.results, "read_image", lambda step: toys.image(72, 96, 3)
    )
    job_files.write_preview(tmp_path / "p.jpg", small, step)
    view = Image.open(tmp_path / "p.jpg")
    assert (view.size, view.format) == (size, "JPEG")
    # The mask keeps the content at the left.
    error = np.abs(np.asarray(view) / 255 - small.inputs.content.pixels)
    middle = size[0] // 2
    assert error[:, : middle - 4].mean() < 0.07  # of JPEG, on noise
    assert error[:, middle + 4 :].mean() > 0.1


def test_a_result_is_written_in_all_formats(tmp_path):
    saved = []

    class Made:
        def __array__(self, *_, **__):
            return toys.image(300, 400)

        def save(self, path, **options):
            saved.append((path.name, options))

    job_files.write_results(tmp_path, Made(), 77)
    assert saved == [
        ("result.tif", {"bit_depth": 16}),
        ("result.jpg", {"quality": 77}),
        ("result.png", {}),
    ]
    assert Image.open(tmp_path / "small.jpg").size == (320, 240)


def _run(level, index, steps=(2, 3)):
    """A run whose last step was this one."""
    levels = [types.SimpleNamespace(steps=each) for each in steps]
    last = None
    if level is not None:
        last = types.SimpleNamespace(level=level, index=index)
    plan = types.SimpleNamespace(levels=levels)
    return types.SimpleNamespace(plan=plan, last=last)


@pytest.mark.parametrize(
    ("level", "index", "is_last"),
    [
        *((1, 3, True), (1, 2, False), (0, 3, False), (0, 2, False)),
        *((None, 0, False), (1, 4, False)),
    ],
)
def test_the_end_is_the_last_step_of_the_last_level(level, index, is_last):
    assert job_files.is_at_end(_run(level, index)) == is_last


@pytest.mark.parametrize("is_whole", [True, False])
def test_the_state_of_the_end_replaces_another(
    tmp_path, monkeypatch, toy, is_whole
):
    plan = pretend.draft(toy)
    for name in (storage.LAST_STATE, storage.CHECKPOINTS):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.npz").touch()
    kept, saved = tmp_path / storage.LAST_STATE, []

    def open_folder(plan):
        assert not kept.exists()
        assert plan.checkpoints.folder == str(kept)
        return "opened"

    monkeypatch.setattr(job_files.resume, "open_folder", open_folder)
    monkeypatch.setattr(
        job_files.resume, "save_state", lambda *given: saved.append(given)
    )
    monkeypatch.setattr(job_files, "is_at_end", lambda run: is_whole)
    run = types.SimpleNamespace(plan=plan, first_plan=plan, taken=[2, 3])
    job_files.keep_state(run, "step", tmp_path)
    if not is_whole:
        assert [each.name for each in kept.iterdir()] == ["checkpoints.npz"]
        assert (tmp_path / storage.CHECKPOINTS).exists()
        return
    ((at, first, now, step, taken),) = saved
    assert (at, now, step) == ("opened", plan, "step")
    assert first.checkpoints.folder == str(kept)
    assert list(taken[job_files.resume.TAKEN]) == [2, 3]


def test_a_full_disk_costs_the_state_alone(tmp_path, monkeypatch, toy):
    def fail(plan):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job_files.resume, "open_folder", fail)
    monkeypatch.setattr(job_files, "is_at_end", lambda run: True)
    plan = pretend.draft(toy)
    run = types.SimpleNamespace(plan=plan, first_plan=plan, taken=[2, 3])
    job_files.keep_state(run, "step", tmp_path)
