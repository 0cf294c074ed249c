"""Files in one move, folders that take none, and extras."""

import errno
import os
import stat
import sys

import pytest

from nst_tf import files


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"before")
    path.chmod(0o640)
    with files.write_atomically(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(KeyboardInterrupt), files.write_atomically(path):
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


def _refuse(monkeypatch, name, when=lambda *given: True):
    """Lets a function of `os` fail as on a share, if its arguments are such."""
    work = getattr(os, name)

    def refuse(*given, **more):
        if when(*given):
            raise PermissionError(1, "Operation not permitted")
        return work(*given, **more)

    monkeypatch.setattr(os, name, refuse)


def _over(_, path):
    return os.path.exists(path)


@pytest.mark.parametrize(
    "refused", [["chmod", "fchmod"], ["fsync"], ["link"], ["replace", "rename"]]
)
@pytest.mark.parametrize("before", [None, b"before"])
def test_a_share_may_refuse_all_but_to_write(
    tmp_path, monkeypatch, refused, before
):
    path = tmp_path / "a.png"
    if before:
        path.write_bytes(before)
    for name in refused:
        when = _over if name.startswith("re") else lambda *given: True
        _refuse(monkeypatch, name, when)
    with files.write_atomically(path) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_moved_aside_comes_back_if_the_new_one_cannot_come(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    is_new = ".nst-"
    _refuse(monkeypatch, "replace")
    _refuse(monkeypatch, "rename", lambda old, _: is_new in str(old))
    with pytest.raises(PermissionError), files.write_atomically(path) as file:
        file.write(b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file_to_replace(tmp_path):
    folder = tmp_path / "a.png"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OSError), files.write_atomically(folder) as file:
        file.write(b"new")
    assert (folder / "mine.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_disk_that_is_full_when_it_syncs_is_no_success(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(OSError, match="No space left"),
        files.write_atomically(tmp_path / "a") as file,
    ):
        file.write(b"after")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_no_file_is_found_out(tmp_path):
    files.check_folder_writable(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing", "file"):
        with pytest.raises(OSError) as caught:
            files.check_folder_writable(tmp_path / name)
        assert caught.value.strerror


def test_the_cache_is_in_the_home_or_where_it_is_said(tmp_path, monkeypatch):
    assert files.make_cache("pictures") == tmp_path / "cache/nst_tf/pictures"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert files.find_cache() == tmp_path / "home/.cache/nst_tf"


def _notes(caplog, count):
    """Asks for a cache that cannot be; what is said of it, once."""
    caplog.set_level("INFO", "nst_tf")
    files._note_no_cache.cache_clear()
    for _ in range(count):
        assert files.make_cache("pictures") is None
    return caplog.messages


def test_without_a_home_there_is_no_cache_and_one_note(no_home, caplog):
    assert files.find_home() is None
    assert files.find_cache() is None
    assert _notes(caplog, 2) == [
        "downloads are not cached: there is no home folder; set XDG_CACHE_HOME "
        "to a writable folder"
    ]


@pytest.mark.parametrize("folder", ["/proc/none", "file/below"])
def test_a_cache_that_takes_no_file_is_none(
    tmp_path, monkeypatch, caplog, folder
):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / folder))
    [note] = _notes(caplog, 2)
    assert f"{folder}/nst_tf is not writable: N" in note


def test_hidden_files_are_no_presets_or_pictures(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for name in ("b.cfg", "._b.cfg", "a.cfg", "images/a.png", "images/._a.png"):
        (tmp_path / name).touch()
    monkeypatch.setattr(files, "presets_folder", lambda: tmp_path)
    assert files.list_presets() == ["a", "b"]
    assert files.example_images() == {"a": tmp_path / "images" / "a.png"}


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
