"""Files in one move, folders that take none, and extras."""

import os
import stat
import sys

import pytest

from nst_tf import files


@pytest.mark.parametrize("beside", [None, ".own.part"])
def test_a_file_takes_its_place_when_it_is_whole(tmp_path, beside):
    path, temporary = tmp_path / "a.txt", beside and tmp_path / beside
    if temporary:
        temporary.write_bytes(b"what a killed run has left")
    path.write_bytes(b"before")
    path.chmod(0o640)
    with files.write_atomically(path, temporary) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with (
        pytest.raises(KeyboardInterrupt),
        files.write_atomically(path, temporary),
    ):
        raise KeyboardInterrupt
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_is_as_others_are_and_a_link_stays(tmp_path):
    before = os.umask(0o027)
    try:
        with files.write_atomically(tmp_path / "new") as file:
            file.write(b"1")
        link = tmp_path / "link"
        link.symlink_to("new")
        with files.write_atomically(link) as file:
            file.write(b"2")
    finally:
        os.umask(before)
    assert link.is_symlink()
    assert (tmp_path / "new").read_bytes() == b"2"
    assert stat.S_IMODE(link.stat().st_mode) == 0o640


def test_a_folder_that_takes_no_file_is_found_out(tmp_path):
    files.check_folder_writable(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing", "file"):
        with pytest.raises(OSError) as caught:
            files.check_folder_writable(tmp_path / name)
        assert caught.value.strerror


def test_a_missing_extra_is_named_with_its_command(monkeypatch):
    files.require_extra("json", "video", "timelapse")
    monkeypatch.setitem(sys.modules, "json", None)
    assert not files.is_installed("json")
    with pytest.raises(ValueError) as caught:
        files.require_extra("json", "video", "timelapse a.mp4", "; or not.")
    assert str(caught.value) == (
        "timelapse a.mp4 needs a package that is not installed: pip install "
        '"nst-tf[video]"; or not.'
    )
