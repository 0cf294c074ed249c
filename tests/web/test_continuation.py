"""Jobs that continue a picture: their settings, pictures and files."""

import pytest
from test_storage import PICTURES, kept  # noqa: F401  a fixture

from nst_tf.web import continuation, storage

CHOSEN = {
    **{"size": 90, "init": "noise", "init_noise": 0.5, "print_size": "A4"},
    **{"steps": [3], "levels": 2, "min_size": 32, "growth": 2.0},
    "color": "content",
}


def _add(kept, **changes):  # noqa: F811
    pictures = {**PICTURES, "init": ["valley"], "keep_mask": ["valley"]}
    entry = storage.make_entry(CHOSEN, pictures, start="continue_from")
    size = {"width": 40, "height": 30}
    for name, value in {"state": storage.DONE, **size, **changes}.items():
        setattr(entry, name, value)
    kept.add(entry)
    return entry


def _add_state(kept, entry, name):  # noqa: F811
    folder = kept.folder(entry) / name
    folder.mkdir()
    (folder / "1.npz").touch()
    (folder / "notes.txt").touch()
    return folder / "1.npz"


@pytest.mark.parametrize("state", [storage.DONE, storage.STOPPED])
def test_a_larger_one_begins_at_its_levels_from_the_picture(
    kept, state  # noqa: F811
):  # fmt: skip
    entry = _add(kept, state=state, levels=[2, 3])
    _add_state(kept, entry, storage.LAST_STATE)
    made, files = continuation.make(kept, entry, 41, 0)
    assert made.settings == {
        **{"steps": [3], "levels": 2, "min_size": 32, "growth": 2.0},
        **{"color": "content", "size": 41},
    }
    assert made.pictures == {**PICTURES, "keep_mask": ["valley"]}
    assert (made.origin, made.start) == (entry.id, "continue_from")
    assert files == {"start.png": kept.folder(entry) / "result.png"}


@pytest.mark.parametrize("size", [39, 40])
@pytest.mark.parametrize("shape", [(40, 30), (30, 40)])
def test_a_size_is_more_than_the_longer_side(kept, size, shape):  # noqa: F811
    entry = _add(kept, width=shape[0], height=shape[1])
    words = f"size is {size}, expected more than 40"
    with pytest.raises(ValueError, match=words):
        continuation.make(kept, entry, size, 0)
    entry.state = storage.FAILED
    with pytest.raises(ValueError, match="not finished yet"):
        continuation.make(kept, entry, 99, 0)


def test_without_a_state_more_steps_begin_from_the_picture(kept):  # noqa: F811
    entry = _add(kept, width=30, height=40, levels=[2, 3])
    made, files = continuation.make(kept, entry, 0, 7)
    assert made.settings == {
        **{"color": "content", "size": 40, "steps": [7], "levels": 1}
    }
    assert made.pictures == {**PICTURES, "keep_mask": ["valley"]}
    assert (made.origin, made.start) == (entry.id, "init")
    assert files == {"start.png": kept.folder(entry) / "result.png"}


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (storage.DONE, storage.LAST_STATE),
        (storage.STOPPED, storage.CHECKPOINTS),
    ],
)
@pytest.mark.parametrize("others", [[], ["start.png", "losses.txt"]])
def test_with_a_state_more_steps_go_on(kept, state, name, others):  # noqa: F811
    entry = _add(kept, state=state, levels=[2, 3])
    path = _add_state(kept, entry, name)
    for each in [*others, "preview.jpg"]:
        (kept.folder(entry) / each).touch()
    made, files = continuation.make(kept, entry, 0, 7)
    assert made.settings == {**CHOSEN, "steps": [2, 10]}
    assert made.pictures == entry.pictures
    assert (made.origin, made.start) == (entry.id, "continue_from")
    assert files == {
        "checkpoints/1.npz": path,
        **{each: kept.folder(entry) / each for each in others},
    }
    # A state counts only where its job keeps it, and with levels.
    entry.levels = []
    assert continuation.make(kept, entry, 0, 7)[0].start == "init"
    entry.levels = [3]
    other = storage.STOPPED if state == storage.DONE else storage.DONE
    entry.state = other
    assert continuation.make(kept, entry, 0, 7)[0].start == "init"
