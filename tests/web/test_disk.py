"""The folder stays within its limit, and what is missed least goes first."""

import pytest
from test_storage import add_picture, kept  # noqa: F401  a fixture

from nst_tf.web import disk, storage

SIZE = 100_000  # bytes of a result; of a state, ten times as many


def add_job(kept, state, ended=0.0, content="valley"):  # noqa: F811
    pictures = {"content": [content], "style": ["ink_wash"]}
    entry = storage.make_entry({}, pictures)
    entry.state, entry.ended = state, ended
    kept.add(entry)
    (kept.folder(entry) / "result.png").write_bytes(bytes(SIZE))
    if state == storage.DONE:
        folder = kept.folder(entry) / storage.LAST_STATE
        folder.mkdir()
        (folder / "1.npz").write_bytes(bytes(10 * SIZE))
    return entry


@pytest.mark.parametrize(
    ("limit", "deleted"),  # the limit in results, of 27
    [
        (28, []),
        (18, []),  # the state of the older one is enough
        (16.5, [1]),
        (15.5, [1, 2]),
        (14.5, [1, 2, 3]),
        (2, [1, 2, 3]),  # and all the rest stays
    ],
)
def test_the_oldest_go_first_and_the_newest_and_the_queue_never(
    kept, limit, deleted  # noqa: F811
):  # fmt: skip
    upload = add_picture(kept)
    jobs = [
        add_job(kept, storage.DONE, 9.0),  # begun first, and ended last
        add_job(kept, storage.FAILED, 1.0),
        add_job(kept, storage.DONE, 2.0, upload),
        add_job(kept, storage.STOPPED, 3.0),
        add_job(kept, storage.PAINTING),
        add_job(kept, storage.QUEUED),
        add_job(kept, storage.INTERRUPTED),
    ]
    kept.limit = limit * SIZE
    found, used = disk.make_room(kept)
    assert found == [jobs[number].id for number in deleted]
    left = [job for job in jobs if job.id not in found]
    assert list(kept.entries.values()) == left
    assert used == disk.measure(kept.root)
    assert (upload in kept.pictures) == (2 not in deleted)
    states = [(kept.folder(jobs[n]) / storage.LAST_STATE) for n in (0, 2)]
    assert [each.exists() for each in states] == [True, limit == 28]
    if limit == 2:
        with pytest.raises(ValueError, match="nothing is left to delete"):
            disk.check_room(kept, used)
    else:
        disk.check_room(kept, used)


def test_uploads_go_before_pictures_but_for_the_newest(kept, monkeypatch):  # noqa: F811
    monkeypatch.setattr(disk, "FRESH", 2)
    add_job(kept, storage.DONE, 1.0)
    add_job(kept, storage.DONE, 2.0)
    uploads = [add_picture(kept) for _ in range(5)]
    for number in uploads:
        kept.pictures[number].path.write_bytes(bytes(SIZE))
    kept.limit = disk.measure(kept.root) - 12.5 * SIZE
    assert disk.make_room(kept)[0] == []
    assert [n for n in uploads if n in kept.pictures] == uploads[3:]


def test_what_is_judged_or_continued_is_spared(kept):  # noqa: F811
    jobs = [add_job(kept, storage.DONE, when) for when in (1.0, 2.0, 3.0)]
    kept.limit = 1
    assert disk.make_room(kept, [jobs[0].id])[0] == [jobs[1].id]


def test_a_full_disk_is_a_sentence(kept, monkeypatch):  # noqa: F811
    usage = type("Usage", (), {"free": 5e8})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"the disk has 0.5 GB free"):
        disk.check_room(kept, 0)
