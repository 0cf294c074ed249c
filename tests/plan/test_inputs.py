"""What a job names is read: pictures, folders, masks, weights."""

from pathlib import Path

import numpy as np
import pytest
import toys

from nst_tf.images import image_io
from nst_tf.network import weight_files
from nst_tf.plan import inputs, settings

MASKED = {
    "content_mask": "where.png",
    "style_mask": ("s0.png", "s1.png"),
    "strength_map": "how.png",
    "keep_mask": "kept.png",
}


def _load(source, limit, is_mask=False, **_):
    """A picture that says where it was read, how large it may be, as what."""
    source = f"mask {source}" if is_mask else source
    notes = (f"{source} is odd",) if "odd" in source else ()
    return image_io.Picture(np.zeros((2, 2, 3)), digest=f"{source} {limit:g}",
                            notes=notes)  # fmt: skip


def _read(**chosen):
    job = settings.Job(**{"content": "town.png", **chosen})
    return inputs.read_inputs(job, _load)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a folder of two pictures, and another file."""
    monkeypatch.chdir(tmp_path)
    Path("styles").mkdir()
    for name in ("b.png", "a.jpg", "notes.txt"):
        Path("styles", name).touch()
    return tmp_path


def test_everything_that_a_job_names_is_read(folder):
    read = _read(
        style=("styles", "c.png"), **MASKED, init="d.png", max_megapixels=3.0
    )
    assert read.content.digest == "town.png 3"
    sources = ["styles/a.jpg", "styles/b.png", "c.png"]
    assert [style.digest for style in read.styles] == [
        f"{s} 3" for s in sources
    ]
    assert read.list_style_sources() == sources and read.counts == [2, 1]
    named = {
        "content_mask": "where.png",
        "strength_map": "how.png",
        "keep_mask": "kept.png",
        "style_mask/0": "s0.png",
        "style_mask/1": "s1.png",
        "init": "d.png",
    }
    assert {k: v.digest for k, v in read.others.items()} == {
        name: f"{source} 3" if name == "init" else f"mask {source} 3"
        for name, source in named.items()
    }
    assert list(read.others) == list(named)  # in this order digests are taken
    assert read.sources == {
        "content": "town.png",
        **{f"style/{i}": source for i, source in enumerate(sources)},
        **named,
    }
    assert read.network is None


def test_a_start_that_is_a_word_is_no_picture():
    for word in ("content", "style", "gray", "mean", "noise"):
        assert inputs.list_named_pictures(settings.Job(init=word)) == {}
    job = settings.Job(continue_from="a.png")
    assert inputs.list_named_pictures(job) == {"continue_from": "a.png"}


def test_what_cannot_be_read_is_said(folder):
    with pytest.raises(ValueError, match="no content image; pass one with"):
        _read(content="")
    Path("empty").mkdir()
    with pytest.raises(ValueError, match="style folder empty has no pictures"):
        _read(style=("empty",))
    with pytest.raises(ValueError, match="size is 0"):
        _read(size=0)


def test_notes_of_every_picture_are_kept(monkeypatch):
    read = _read(content="odd.png", style=("odd2.png", "c.png"), init="odd3")
    words = ["odd.png is odd", "odd2.png is odd", "odd3 is odd"]
    assert read.notes == words
    monkeypatch.setenv("NST_TF_WEIGHTS", "a.h5")
    assert read.notes[:3] == words
    assert read.notes[3].startswith(
        "NST_TF_WEIGHTS is set, but nst_tf ignores it now"
    )


def _take(styles, given=None, content=None, **chosen):
    if content is None:
        content = toys.image(6, 8)
    job = settings.Job(**chosen)
    return inputs.take_inputs(job, content, styles, given or {})


def test_arrays_and_paths_are_taken_as_they_come(folder, monkeypatch):
    monkeypatch.setattr(inputs.sources, "load", _load)
    array, mask = toys.image(4, 5, 1), toys.picture(6, 8, 2)
    read = _take(
        [array, "styles", Path("c.png")],
        {"keep_mask": mask},
        keep_mask="array",
        content_mask="where.png",
        max_megapixels=3.0,
    )
    np.testing.assert_array_equal(read.content.pixels, toys.image(6, 8))
    np.testing.assert_array_equal(read.styles[0].pixels, array)
    assert [style.digest for style in read.styles[1:]] == [
        "styles/a.jpg 3", "styles/b.png 3", "c.png 3"
    ]  # fmt: skip
    assert read.counts == [1, 2, 1]
    assert read.others["keep_mask"] is mask
    assert read.others["content_mask"].digest == "mask where.png 3"
    styles = ["array", "styles/a.jpg", "styles/b.png", "c.png"]
    assert read.list_style_sources() == styles
    named = {"keep_mask": "array", "content_mask": "where.png"}
    assert {n: read.sources[n] for n in named} == named


@pytest.mark.parametrize("kind", [list, tuple])
def test_one_style_is_as_good_as_a_list_of_it(kind):
    array = toys.image(4, 5, 1)
    for styles in (array, kind([array])):
        read = _take(styles)
        assert len(read.styles) == 1 and read.counts == [1]
    assert _take([]).styles == ()


def test_wrong_arrays_and_settings_are_refused():
    with pytest.raises(ValueError, match="content image has shape"):
        _take([], content=np.zeros(3))
    with pytest.raises(ValueError, match="style image has shape"):
        _take([np.zeros(3)])
    with pytest.raises(ValueError, match="size is 0"):
        _take([], size=0)


def test_the_network_is_that_of_the_job(toy):
    job = settings.Job(extractor="toy", weights=str(toy))
    network = inputs.load_network(job)
    assert set(network.layers) == set(toys.LAYERS)
    assert isinstance(network, weight_files.NetworkWeights)


@pytest.mark.parametrize("dry", [False, True])
def test_a_dry_run_downloads_nothing(monkeypatch, dry):
    asked = {}

    def load(source, *_, may_download, **__):
        asked[source] = may_download
        return toys.picture(4, 4)

    monkeypatch.setattr(inputs.sources, "load", load)
    job = settings.Job(content="a.png", style=("b.png",), dry_run=dry)
    inputs.read_inputs(job)
    assert asked == {"a.png": not dry, "b.png": not dry}
    for name in ("load", "load_without_download"):
        monkeypatch.setattr(
            inputs.weight_files, name, lambda *_, name=name: name
        )
    expected = "load_without_download" if dry else "load"
    assert inputs.load_network(job) == expected


def test_files_that_are_read_are_never_replaced():
    address, stdin = "https://example.org/a.png", "-"
    read = inputs.Inputs(
        toys.picture(4, 4),
        sources={"content": "town.png", "style/0": address, "init": stdin},
    )
    job = settings.Job(rerun="old.png")
    assert inputs.list_input_files(job, read) == ["town.png", "old.png"]
    job = settings.Job(weights="vgg.h5")
    assert inputs.list_input_files(job, read) == ["town.png", "vgg.h5"]
    for word in ("auto", "small"):
        job = settings.Job(weights=word)
        assert inputs.list_input_files(job, read) == ["town.png"]
