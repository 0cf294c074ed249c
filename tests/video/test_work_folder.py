"""Frames that are kept on disk, for the film that they belong to."""

import json

import numpy as np
import pytest

from nst_tf.video import work_folder

FILM = {"size": 512, "steps": [50, 20], "content film": "sha256:12"}
SIZE = (4, 6)
FRAME = np.random.default_rng(0).random((*SIZE, 3), np.float32)


def _open(path, **changes):
    return work_folder.WorkFolder(path, {**FILM, **changes}, SIZE)


def test_a_frame_is_kept_to_the_bit(tmp_path):
    folder = _open(tmp_path / "w")
    folder.save(0, 7, FRAME)
    assert folder.path.joinpath("pass1/000007.npy").stat().st_size == (
        work_folder.measure_frame(*SIZE)
    )
    folder.close()
    again = _open(tmp_path / "w")
    assert again.has(0, 7)
    assert not again.has(0, 6)
    assert not again.has(1, 7)
    assert again.load(0, 7).tobytes() == FRAME.tobytes()
    path = again.path / "pass1/000007.npy"
    path.write_bytes(path.read_bytes()[:-1])  # as a full disk leaves it
    assert not again.has(0, 7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 256}, r"another film: size \(512 there, 256 now\) differs"),
        ({"steps": [9]}, r"steps \(\[50, 20\] there, \[9\] now\) differs"),
        ({"content film": "sha256:34"}, "film: content film differs"),
        ({"size": 1, "fps": "9"}, r"size \(512 there, 1 now\) and 1 more"),
        ({"fps": "12"}, r"fps \(unset there, 12 now\) differs"),
    ],
)
def test_a_folder_of_another_film_is_refused_by_what_differs(
    tmp_path, changes, words
):
    _open(tmp_path / "w").close()
    with pytest.raises(ValueError, match=words):
        _open(tmp_path / "w", **changes)
    _open(tmp_path / "w").close()


def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match=r"other files, such as thesis.txt"):
        _open(tmp_path)
    (tmp_path / "film.json").write_text("{")
    with pytest.raises(ValueError, match="film.json cannot be read"):
        _open(tmp_path)


def test_a_folder_in_use_is_refused(tmp_path):
    folder = _open(tmp_path / "w")
    with pytest.raises(ValueError, match="another run paints the film of"):
        _open(tmp_path / "w")
    folder.close()
    _open(tmp_path / "w").close()


def test_only_our_files_are_removed(tmp_path):
    folder = _open(tmp_path / "w")
    folder.save(0, 0, FRAME)
    folder.note_output("a")
    folder.end_pass(1, 1)
    (folder.path / "notes.txt").touch()
    folder.remove()
    assert [each.name for each in (tmp_path / "w").iterdir()] == ["notes.txt"]
    (tmp_path / "w" / "notes.txt").unlink()
    _open(tmp_path / "w").remove()
    assert not (tmp_path / "w").exists()


def test_a_pass_that_is_read_no_more_is_removed(tmp_path):
    folder = _open(tmp_path / "w")
    for passed in range(3):
        folder.save(passed, 0, FRAME)
        folder.end_pass(passed + 1, 1)
        assert folder.has(passed, 0)
        assert not folder.has(passed - 2, 0)
    folder.close()
    again = _open(tmp_path / "w")
    assert (again.passed, again.count) == (3, 1)


def test_frames_that_failed_are_painted_again(tmp_path):
    folder = _open(tmp_path / "w")
    for index in range(3):
        folder.save(0, index, FRAME)
    folder.note_failure(0, 1, "NaN")
    folder.close()
    again = _open(tmp_path / "w")
    assert again.list_failed() == [1]
    again.retry_failures()
    assert not again.list_failed()
    assert [again.has(0, index) for index in range(3)] == [True, False, True]
    assert json.loads((tmp_path / "w/failed.json").read_text()) == {}
