"""Which pictures are done: their records, their inputs, their networks."""

import types

import pytest

import nst_tf
from nst_tf.batch import done
from nst_tf.network import architectures


def test_a_file_is_digested_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "a.png"
    path.write_text("a")
    digests = done.Digests()
    digest = done.files.digest_file(path)
    assert digests.find("~/a.png") == digest
    path.unlink()
    assert digests.find("~/a.png") == digest
    assert digests.find(str(path)) == ""
    path.write_text("b")
    assert digests.find(str(path)) == ""


def test_a_download_is_found_in_the_cache(tmp_path, monkeypatch):
    path = tmp_path / "cached"
    path.write_text("a")
    monkeypatch.setattr(done.sources, "find_cached", lambda url: path)
    found = done.Digests().find("https://host/a.png")
    assert found == done.files.digest_file(path)
    monkeypatch.setattr(done.sources, "find_cached", lambda url: None)
    assert done.Digests().find("https://host/a.png") == ""


@pytest.fixture
def record(tmp_path, monkeypatch):
    """The record of a picture of two styles and a mask, as it is read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "styles").mkdir()
    for name in ("a.png", "styles/1.png", "styles/2.png", "m.png", "i.png"):
        (tmp_path / name).write_text(name)

    def digest(name):
        return {"digest": done.files.digest_file(tmp_path / name)}

    known = architectures.NETWORKS["vgg19"]
    record = {
        "state": "done",
        "flags": {"steps": [20, 10], "init": "elsewhere.png"},
        "inputs": {
            "content": digest("a.png"),
            "style": [digest("styles/1.png"), digest("styles/2.png")],
            "keep_mask": digest("m.png"),
            "init": digest("i.png"),
        },
        "network": {"digest": known.small.digest},
    }
    monkeypatch.setattr(done.records, "read_record", lambda path: record)
    return record


@pytest.fixture
def is_done():
    """Asks whether the picture of that record is done."""

    def is_done(**changes):
        given = {
            "content": "a.png",
            "style": ("styles",),
            "output": "out.png",
            "steps": (20, 10),
            "keep_mask": "m.png",
            "init": "i.png",
            "weights": "small",
        }
        job = nst_tf.Job(**{**given, **changes})
        return done.is_done(job, done.Digests())

    return is_done


def test_a_picture_of_the_same_settings_and_inputs_is_done(record, is_done):
    assert is_done()
    assert not is_done(steps=(20, 11))
    assert not is_done(seed=1)
    assert not is_done(style=("styles/1.png",))
    assert not is_done(style=("styles/2.png", "styles/1.png"))
    assert not is_done(content="m.png")
    assert not is_done(keep_mask="a.png")
    assert not is_done(keep_mask="")
    assert not is_done(init="m.png")
    assert not is_done(strength_map="m.png")
    assert not is_done(weights="auto")


def test_a_style_folder_that_cannot_be_read_is_not_done(record, is_done):
    for path in done.Path("styles").iterdir():
        path.unlink()
    assert not is_done()


def test_a_start_of_a_keyword_is_compared_by_name(record, is_done):
    del record["inputs"]["init"]
    assert not is_done(init="noise")
    record["flags"]["init"] = "noise"
    assert is_done(init="noise")
    assert not is_done(init="gray")


@pytest.mark.parametrize("state", ["unfinished", "done"])
def test_a_picture_that_was_stopped_is_not_done(state, record, is_done):
    record["state"] = state
    assert is_done() == (state == "done")


def test_a_picture_without_a_record_is_not_done(is_done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_done()


def test_weights_are_compared_with_those_of_the_record(tmp_path, monkeypatch):
    shipped = types.SimpleNamespace(digest="shipped")
    small = types.SimpleNamespace(digest="small")
    known = types.SimpleNamespace(shipped=shipped, small=small)
    monkeypatch.setitem(architectures.NETWORKS, "vgg16", known)
    path = tmp_path / "w.h5"
    path.write_text("w")
    digests = done.Digests()

    def has(word, **network):
        job = nst_tf.Job(extractor="vgg16", weights=word)
        return done._has_weights(job, network, digests)

    for word, digest in (("auto", "shipped"), ("small", "small")):
        assert has(word, digest=digest)
        assert not has(word, digest="other")
    assert has("imagenet", weights="imagenet", digest="x")
    assert not has("imagenet", weights="other", digest="x")
    known.shipped = None  # it must be downloaded
    assert has("auto", weights="imagenet") and has("auto", weights="auto")
    assert not has("auto", weights="small")
    digest = done.files.digest_file(path)
    assert has(str(path), file=digest, weights="x")
    assert not has(str(path), file="another") and not has(str(path))
    assert not has(str(tmp_path / "none")) and not has("none", file=digest)
