"""Pictures and jobs on disk: whole, bounded, and named by the studio alone."""

import json
from pathlib import Path

import pytest
import toys

from nst_tf.images import image_io
from nst_tf.web import storage

PICTURES = {"content": ["valley"], "style": ["ink_wash"]}


@pytest.fixture
def kept(tmp_path):
    kept = storage.Storage(tmp_path / "studio", 1e9)
    yield kept
    kept.close()


def add_picture(kept, name="a.jpg"):
    folder = kept.make_picture_folder()
    (folder / "original").write_bytes(b"picture")
    return kept.add_picture(folder, name, [40, 30])


def add_job(kept, **chosen):
    entry = storage.make_entry(chosen, PICTURES)
    kept.add(entry)
    return entry


def reopen(kept):
    kept.close()
    return storage.Storage(kept.root, 1e9)


def test_jobs_and_pictures_are_as_they_were_after_a_kill(kept):
    number, entry = add_picture(kept), add_job(kept, size=300)
    kept.save(entry)
    # A file that was being written is not there, and others are whole.
    (kept.folder(entry) / ".nst-0123abcd.json").write_text('{"id"')
    again = reopen(kept)
    assert again.entries == {entry.id: entry}
    assert again.pictures[number] == kept.pictures[number]
    again.close()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "\0", '{"id": "x"}', '{"id": 3, "evil": 4}'),
        '{"id": "ID", "created": 1, "settings": {}, "pictures": []}',
        '{"id": "ID", "created": 1, "settings": {}, "pictures": {}}',
    ],
)
def test_a_damaged_job_is_left_out_and_not_deleted(kept, text, caplog):
    damaged, entry = add_job(kept), add_job(kept)
    path = kept.folder(damaged) / "job.json"
    path.write_text(text.replace("ID", damaged.id))
    again = reopen(kept)
    assert list(again.entries) == [entry.id]
    assert path.exists() and "is skipped" in caplog.text
    again.close()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/root/x.jpg", "_root_x.jpg"),
        ("C:\\x.jpg", "C:_x.jpg"),
        ("<script>alert(1)</script>.jpg", "<script>alert(1)<_script>.jpg"),
        ("-rf", "rf"),
        ("\0\n\x1b[31m", "[31m"),
        ("", "picture"),
        ("x" * 500, "x" * storage.LONGEST_NAME),
    ],
)
def test_a_users_name_is_text_and_no_part_of_a_path(kept, name, shown):
    before = set(kept.root.parent.rglob("*"))
    number = add_picture(kept, name)
    assert kept.pictures[number].name == shown
    new = set(kept.root.parent.rglob("*")) - before
    assert {path.name for path in new} == {number, "original", "picture.json"}
    assert len(number) == 16 and int(number, 16) >= 0


def test_numbers_are_looked_up_and_never_opened(kept):
    entry = add_job(kept)
    for evil in ("../../etc/passwd", "/etc/passwd", "http://e.example/a.png"):
        entry.pictures = {"content": [evil], "style": ["ink_wash"]}
        with pytest.raises(ValueError, match="choose it again"):
            kept.list_values(entry)
    entry.pictures = {"rerun": ["valley"]}
    with pytest.raises(ValueError, match="'rerun' is not a picture"):
        kept.list_values(entry)


def test_a_job_goes_into_its_own_folder(kept):
    values = kept.list_values(entry := add_job(kept, size=300))
    for name in ("output", "checkpoint_dir"):
        assert Path(values[name]).parent == kept.folder(entry)
    assert Path(values["content"]).name == "valley.jpg"
    assert kept.list_names(entry) == {
        "content": "valley.jpg", "style/0": "ink_wash.jpg"
    }  # fmt: skip
    assert kept.find_title(entry) == "valley in ink wash"
    assert (
        kept.write_command(entry) == "nst-tf valley.jpg ink_wash.jpg --size=300"
    )


def test_uploads_that_no_job_names_are_a_few(kept, monkeypatch):
    monkeypatch.setattr(storage, "UNUSED", 3)
    used = add_picture(kept)
    entry = storage.Entry("a", 1.0, {}, {**PICTURES, "content": [used]})
    kept.add(entry)
    numbers = [add_picture(kept) for _ in range(6)]
    assert [n for n in numbers if n in kept.pictures] == numbers[3:]
    assert used in kept.pictures
    folders = {path.name for path in (kept.root / "pictures").iterdir()}
    assert folders == {used, *numbers[3:]}


def test_what_a_kill_left_half_made_is_removed_at_the_next_start(kept):
    number, entry = add_picture(kept), add_job(kept)
    kept.make_picture_folder()  # an upload that was under way
    half = add_job(kept)
    (kept.folder(half) / "job.json").unlink()  # it was being deleted
    again = reopen(kept)
    assert [p.name for p in (kept.root / "pictures").iterdir()] == [number]
    assert [p.name for p in (kept.root / "jobs").iterdir()] == [entry.id]
    again.close()


def test_a_folder_has_one_server(kept):
    with pytest.raises(BlockingIOError):
        storage.Storage(kept.root, 1e9)


def test_a_continued_job_has_a_copy_of_what_it_starts_from(kept):
    origin = add_job(kept)
    image_io.save_image(kept.folder(origin) / "result.png", toys.image(30, 40))
    entry = storage.Entry(
        "b",
        2.0,
        {"size": 90},
        PICTURES,
        origin=origin.id,
        start="continue_from",
    )
    kept.add(entry, {"start.png": kept.folder(origin) / "result.png"})
    kept.remove(origin)
    start = Path(kept.list_values(entry)["continue_from"])
    assert start.parent == kept.folder(entry) and start.exists()
    assert "--continue_from=result.png" in kept.write_command(entry)


def test_of_a_step_that_is_taken_again_the_last_loss_counts(tmp_path):
    path = tmp_path / "losses.txt"
    assert storage.list_losses(path) == []
    path.write_text("1 9\n2 8\n3 nan\n2 7.5\nx y\n4 inf\n5")
    assert storage.list_losses(path) == [(1, 9.0), (2, 7.5)]
    json.dumps(storage.list_losses(path))
