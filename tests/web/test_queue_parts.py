"""What the queue does besides its order: rooms, losses, names, fields."""

import asyncio
import dataclasses

import pytest
from test_storage import (  # noqa: F401  a fixture
    PICTURES,
    add_job,
    add_picture,
    kept,
)
from test_work_queue import play, states, submit  # noqa: F401  a fixture

from nst_tf.plan import settings
from nst_tf.web import disk, form_fields, storage, work_queue


def test_a_stage_does_not_hide_that_a_job_is_stopping(play):  # noqa: F811
    async def scene(studio, process):
        a = submit(studio)
        await process.say("stage", a.id, label="one")
        assert studio.describe(a)["live"] == {"stage": "one"}
        studio.stop(a)
        await process.say("stage", a.id, label="two")
        assert studio.describe(a)["live"] == {"stage": "stopping"}
        await process.say("unknown", a.id)
        assert states(studio) == ["painting"]
        await process.say("stage", "gone", label="three")

    play(scene)


def test_what_a_step_and_the_end_say_is_kept(play):  # noqa: F811
    async def scene(studio, process):
        a = submit(studio)
        told = {"step": 3, "steps": 9, "loss": 2.0, "left": 1.5, "preview": 0}
        await process.say("step", a.id, **told)
        assert studio.describe(a)["live"] == told
        a.deaths = 2
        await process.end(a.id, "stopped")
        assert (a.deaths, a.width, a.height) == (0, 40, 30)
        assert (a.steps, a.levels, a.seconds) == (5, [2, 3], 1.5)
        assert a.ended >= a.created
        again = storage._read_entry(studio.kept.folder(a) / "job.json")
        assert again == a

    play(scene)


def test_a_result_that_cannot_be_judged_stays_done(play):  # noqa: F811
    async def scene(studio, process):
        a = submit(studio)
        await process.end(a.id)
        ended = a.ended
        studio.judge(a)
        assert studio.describe(a)["live"] == {"stage": "waiting for the judge"}
        studio.judge(a)  # it is being judged
        with pytest.raises(ValueError, match="in progress; stop it first"):
            studio.delete(a)
        await process.say("failed", a.id, message="no memory.")
        assert (a.state, a.message) == ("done", "no memory.")
        assert process.told.count(("judge", a.id)) == 1
        assert a.ended >= ended
        b = submit(studio)
        studio.judge(a)
        studio.kept.remove(a)  # deleted while it waits
        await process.end(b.id)
        assert process.told[-1] == ("paint", b.id)

    play(scene)


def test_a_job_whose_picture_is_lost_fails_and_the_next_begins(play):  # noqa: F811
    async def scene(studio, process):
        number = add_picture(studio.kept)
        a, b, c = (
            studio.submit({}, {**PICTURES, "content": [each]})
            for each in ("valley", number, "valley")
        )
        del studio.kept.pictures[number]
        await process.end(a.id)
        assert (b.state, c.state) == ("failed", "painting")
        assert b.message.endswith("no longer exists; choose it again.")
        assert process.told == [("paint", a.id), ("paint", c.id)]

    play(scene)


def test_a_command_has_settings_and_names(play):  # noqa: F811
    async def scene(studio, process):
        sent = []
        process.send = sent.append
        a = submit(studio, size=300)
        assert sent == [
            {
                "do": "paint",
                "job": a.id,
                "settings": studio.kept.list_values(a),
                "names": studio.kept.list_names(a),
            }
        ]
        studio.stop(a)
        assert sent[1:] == [{"do": "stop", "job": a.id}]

    play(scene)


def test_interrupted_jobs_are_painted_before_queued_ones(play):  # noqa: F811
    async def scene(studio, process):
        a, _, c = (submit(studio) for _ in range(3))
        c.state = storage.INTERRUPTED
        await process.end(a.id)
        assert process.told[-1] == ("paint", c.id)
        assert states(studio) == ["done", "queued", "painting"]

    play(scene)


def test_a_failed_job_is_resumed_without_its_failure(play):  # noqa: F811
    async def scene(studio, process):
        a = submit(studio)
        await process.say("failed", a.id, message="no memory.")
        studio.resume(a)
        assert (a.state, a.message, a.deaths) == ("painting", "", 0)
        with pytest.raises(ValueError, match="no steps left"):
            studio.resume(a)

    play(scene)


def test_a_picture_makes_room_unless_it_is_spared(play, caplog):  # noqa: F811
    async def scene(studio, process):
        jobs = [submit(studio) for _ in range(4)]
        for job in jobs[:3]:
            path = studio.kept.folder(job) / "result.png"
            path.write_bytes(bytes(9_000))
            await process.end(job.id)
        studio.kept.limit = 25_000
        studio.make_room(jobs[1].id)
        assert [*studio.kept.entries] == [jobs[1].id, jobs[2].id, jobs[3].id]
        studio.kept.limit = 1
        with pytest.raises(ValueError, match="nothing is left to delete"):
            studio.make_room()
        assert [*studio.kept.entries] == [jobs[2].id, jobs[3].id]
        assert "deleted the oldest picture to stay within 2.5e-05 GB" in (
            caplog.text
        )

    play(scene)


def test_an_upload_that_cannot_be_read_is_counted_no_more(
    play, monkeypatch  # noqa: F811
):  # fmt: skip
    async def check(path):
        assert path.name == "original"
        return {"error": "it is empty."}

    async def scene(studio, process):
        monkeypatch.setattr(work_queue.child_processes, "check_upload", check)
        folder = studio.kept.make_picture_folder()
        for _ in range(work_queue.MOST_CHECKS + 1):
            with pytest.raises(ValueError, match=r"^it is empty\.$"):
                await studio.add_picture(folder, "a")
        assert studio._checking == 0

    play(scene)


def test_a_job_is_found_by_its_number_or_missing(play):  # noqa: F811
    async def scene(studio, process):
        a = submit(studio)
        assert studio.find(a.id) is a
        with pytest.raises(work_queue.MissingError):
            studio.find("nothing")
        assert studio.describe(a) == {
            **dataclasses.asdict(a),
            "title": "valley in ink wash",
            "command": "nst-tf valley.jpg ink_wash.jpg",
            "live": {},
        }
        assert studio._describe("nothing") is None

    play(scene)


def test_a_server_that_ends_leaves_its_job_interrupted(play):  # noqa: F811
    jobs = []

    async def scene(studio, process):
        jobs.append(submit(studio))
        jobs.append(submit(studio))
        await studio.close()
        for _ in range(20):
            await asyncio.sleep(0)
        assert states(studio) == ["interrupted", "queued"]
        assert process.starts == 1

    play(scene)
    assert jobs[0].deaths == 0


def test_a_job_knows_nothing_that_it_was_not_told():
    entry = storage.make_entry({}, {"content": ["a"], "style": []})
    assert entry.pictures == {"content": ["a"]}
    bare = storage.Entry("a", 1.0, {}, {})
    told = dataclasses.asdict(bare)
    assert [told[name] for name in ("state", "origin", "start", "message")] == [
        *("queued", "", "", "")
    ]
    numbers = "deaths", "width", "height", "steps", "seconds", "ended"
    assert [told[name] for name in numbers] == [0] * 6
    assert (told["levels"], told["figures"]) == ([], {})
    plain = storage.Picture("a", None, None)
    assert (plain.width, plain.height, plain.created) == (0, 0, 0)
    assert storage.CHECKPOINT_SECONDS == 10


def test_the_title_is_of_the_pictures_that_are_left(kept):  # noqa: F811
    number = add_picture(kept, "my_town.v2.jpg")
    pictures = {"content": [number], "style": ["ink_wash", "valley"]}
    entry = storage.make_entry({}, pictures)
    assert kept.find_title(entry) == "my town.v2 in ink wash + valley"
    kept.pictures.clear()
    assert kept.find_title(entry) == entry.id
    assert kept.write_command(entry) == ""


def test_names_and_values_of_a_continued_job(kept):  # noqa: F811
    pictures = {**PICTURES, "keep_mask": ["valley"]}
    entry = storage.make_entry({}, pictures, "origin", "continue_from")
    kept.add(entry)
    assert kept.list_names(entry) == {
        "continue_from": "result.png",
        "content": "valley.jpg",
        "style/0": "ink_wash.jpg",
        "keep_mask": "valley.jpg",
    }
    values = kept.list_values(entry)
    folder = kept.folder(entry)
    assert values["continue_from"] == str(folder / "start.png")
    assert (values["overwrite"], values["checkpoint_every"]) == (True, "10s")
    assert values["keep_mask"].endswith("valley.jpg")


def test_uploads_are_listed_by_age_and_samples_never(kept):  # noqa: F811
    numbers = [add_picture(kept) for _ in range(3)]
    for number, created in zip(numbers, (3.0, 1.0, 2.0), strict=True):
        old = kept.pictures[number]
        kept.pictures[number] = old._replace(created=created)
    assert kept.list_unused() == [numbers[1], numbers[2], numbers[0]]
    picture = kept.pictures[numbers[0]]
    assert (picture.width, picture.height) == (40, 30)
    assert picture.path == kept.root / "pictures" / numbers[0] / "original"
    assert picture.view == picture.path.with_name("view.jpg")


def test_jobs_are_in_the_order_of_their_making(kept):  # noqa: F811
    entries = [add_job(kept) for _ in range(3)]
    for entry, created in zip(entries, (3.0, 1.0, 2.0), strict=True):
        entry.created = created
        kept.save(entry)
    kept.close()
    again = storage.Storage(kept.root, 1e9)
    assert [e.created for e in again.entries.values()] == [1.0, 2.0, 3.0]
    again.close()


def test_checkpoints_are_linked_and_others_copied(kept, monkeypatch):  # noqa: F811
    origin = kept.root / "origin"
    origin.mkdir()
    for name in ("1.npz", "start.png"):
        (origin / name).write_bytes(b"data")
    files = {f"checkpoints/{n}": origin / n for n in ("1.npz", "start.png")}
    entry = storage.make_entry({}, PICTURES)
    kept.add(entry, files)
    folder = kept.folder(entry) / "checkpoints"
    links = [(folder / n).stat().st_nlink for n in ("1.npz", "start.png")]
    assert links == [2, 1]

    def fail(*given):
        raise OSError("no links here")

    monkeypatch.setattr(storage.os, "link", fail)
    other = storage.make_entry({}, PICTURES)
    kept.add(other, files)
    copy = kept.folder(other) / "checkpoints" / "1.npz"
    assert (copy.read_bytes(), copy.stat().st_nlink) == (b"data", 1)


@pytest.mark.parametrize(("free", "is_full"), [(1e9, False), (9.99e8, True)])
def test_a_gigabyte_of_the_disk_is_left_to_others(
    kept, monkeypatch, free, is_full  # noqa: F811
):  # fmt: skip
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage)
    kept.limit = 100
    for used, is_at_limit in ((99, False), (100, True)):
        if is_full or is_at_limit:
            with pytest.raises(ValueError, match="GB"):
                disk.check_room(kept, used)
        else:
            disk.check_room(kept, used)
    assert disk.FRESH == 10


def test_links_are_measured_and_not_followed(tmp_path):
    (tmp_path / "large").write_bytes(bytes(9000))
    folder = tmp_path / "folder" / "below"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(bytes(100))
    (folder.parent / "b").write_bytes(bytes(20))
    (folder / "file").symlink_to(tmp_path / "large")
    (folder / "up").symlink_to(tmp_path)
    length = len(str(tmp_path / "large")) + len(str(tmp_path))
    assert disk.measure(folder.parent) == 120 + length
    assert disk.measure(tmp_path / "none") == 0


def _is_long(**chosen):
    try:
        form_fields._check_value(*chosen.popitem())
    except ValueError as error:
        return str(error)
    return ""


def test_values_of_a_form_are_at_most_so_long():
    assert (form_fields.LONGEST_TEXT, form_fields.MOST_VALUES) == (2000, 100)
    assert _is_long(content_layers="x" * 2000) == ""
    assert "too long" in _is_long(content_layers="x" * 2001)
    assert "too long" in _is_long(style_layers=["x", "x" * 2001, "x"])
    assert _is_long(style_blend=[1.0] * 100) == ""
    assert "too long" in _is_long(style_blend=[1.0] * 101)
    assert _is_long(seed=10**15) == _is_long(seed=-(10**15)) == ""
    assert "too large" in _is_long(seed=10**15 + 1)
    assert "too large" in _is_long(seed=-(10**15) - 1)
    assert "not a plain value" in _is_long(style_blend=[[1.0]])
    assert "expected a number" in _is_long(style_blend=[float("inf")])
    assert _is_long(weights="small") == ""
    long = "x" * 70
    assert f"no setting {'x' * 60!r}" in _is_long(**{long: 1})


def test_fields_have_the_kinds_and_limits_of_the_table():
    told = {field["name"]: field for field in form_fields.list_fields()}
    assert list(told) == [n for n in settings.FIELDS if n in told]
    for name, field in told.items():
        rules = settings.FIELDS[name].metadata
        default = settings.FIELDS[name].default
        for limit in ("low", "high", "off"):
            assert field.get(limit) == rules.get(limit)
        assert field["group"] == rules["group"]
        if isinstance(default, tuple):
            assert field["kind"] == "list"
        else:
            kinds = {bool: "bool", int: "int", float: "float", str: "text"}
            assert field["kind"] == kinds[type(default)]
            assert not field["numbers"]
    assert told["style_blend"]["numbers"]
    assert told["style_scale"]["numbers"]
    assert not told["style_layers"]["numbers"]
    # What the studio decides, and what writes files, is no field.
    for name in ("overwrite", "bit_depth", "record_paths"):
        assert name not in told
    assert "continue_from" not in form_fields.PICTURES
    assert {"content", "style", "init", "keep_mask"} <= {*form_fields.PICTURES}
