"""Painting in a notebook's cell: what is shown, what is returned."""

import concurrent.futures
import io
import logging
import re
import signal
import types

import numpy as np
import pretend
import pytest
import toys
from PIL import Image

import nst_tf
from nst_tf import cells, notebook
from nst_tf.images import image_io, painting
from nst_tf.optimize import descent
from nst_tf.runs import results


@pytest.fixture
def settings(toy):
    return {**pretend.SETTINGS, "steps": 4, "weights": str(toy)}


@pytest.fixture
def images():
    """A content and a style image."""
    return toys.image(60, 80, 0), toys.image(80, 50, 1)


@pytest.fixture
def cell(monkeypatch):
    """What a kernel's cell is given to show, in order: (place, object)."""
    display = pytest.importorskip("IPython.display")
    shown, places = [], []

    class Handle:
        def __init__(self):
            self.place = len(places)
            places.append(self)

        def update(self, thing):
            shown.append((self.place, thing))

    def show(thing, *, display_id):
        assert display_id is True
        handle = Handle()
        handle.update(thing)
        return handle

    monkeypatch.setattr(display, "display", show)
    monkeypatch.setattr(cells, "is_notebook", lambda: True)
    monkeypatch.setattr(notebook, "SECONDS", 0.0)
    return shown


def _pictures(cell):
    found = [thing for _, thing in cell if hasattr(thing, "format")]
    return [Image.open(io.BytesIO(each.data)) for each in found]


def _lines(cell):
    return [thing.data for _, thing in cell if not hasattr(thing, "format")]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"color": "content"},
        {"keep_mask": np.eye(60, 80, dtype=bool)},
        {"max_seconds": 1e-3},
    ],
    ids=lambda more: next(iter(more), ""),
)
def test_what_is_shown_is_what_stylize_returns(images, settings, painter, more):
    settings.update(more)
    shown = nst_tf.notebook.show(*images, **settings)
    assert isinstance(shown, painting.Painting)
    assert shown.shape == (72, 96, 3)
    expected = nst_tf.stylize(*images, **settings)
    assert isinstance(expected, painting.Painting)
    np.testing.assert_array_equal(shown, expected)


def test_a_transparent_content_has_colors_as_from_stylize(
    images, settings, painter
):
    alpha = np.ones((60, 80, 1))
    alpha[:, :30] = 0
    content = np.concatenate([images[0], alpha], axis=-1)
    np.testing.assert_array_equal(
        notebook.show(content, images[1], **settings),
        nst_tf.stylize(content, images[1], **settings),
    )


def test_a_cell_has_one_line_and_one_picture(images, settings, cell, painter):
    shown = notebook.show(*images, every=5, **settings)
    # 12 steps at three levels; of steps 1, 6, 11 and of the result.
    sizes = [picture.size for picture in _pictures(cell)]
    assert sizes == [(48, 32), (64, 48), (96, 72), (96, 72)]
    assert re.fullmatch(
        r"\d+%  48 x 32 \(1 of 3\), step \d/4, loss [\d.e-]+, "
        r"about \d s left",
        _lines(cell)[0],
    )
    assert re.fullmatch(
        r"96 x 72, loss [\d.e-]+, after \d+ s", _lines(cell)[-1]
    )
    assert {place for place, _ in cell} == {0, 1}
    last = np.asarray(_pictures(cell)[-1]) / 255
    assert np.abs(last - shown).mean() < 0.03  # of a JPEG file


def test_pictures_are_copied_only_to_be_shown(
    images, settings, cell, painter, monkeypatch
):
    copied = []
    copy = results.read_image
    monkeypatch.setattr(
        results, "read_image", lambda step: copied.append(step) or copy(step)
    )
    monkeypatch.setattr(notebook, "SECONDS", 3600.0)
    notebook.show(*images, every=1, **settings)
    assert len(copied) == 2  # the first, and the last to be returned


def test_large_pictures_are_reduced_on_the_way(cell):
    notebook._Cell().draw(np.ones((100, 2048, 3), np.float32))
    assert _pictures(cell)[0].size == (512, 25)


def test_elsewhere_lines_are_printed(images, settings, painter, capsys):
    notebook.show(*images, **settings)
    lines = capsys.readouterr().err.splitlines()
    assert "%  48 x 32 (1 of 3), step 4/4, loss" in lines[0]
    assert "%  96 x 72 (3 of 3), step 4/4, loss" in lines[-2]
    assert lines[-1].startswith("96 x 72, loss ")


def _interrupt(step):
    signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("default_signals")
def test_an_interrupt_gives_the_picture_so_far(
    images, settings, painter, capsys
):
    painter.events[6] = _interrupt
    picture = notebook.show(*images, **settings)
    assert "interrupted; this is the picture so far" in capsys.readouterr().err
    plan = painter.plans[0]
    small = painter.paint_one(plan, plan.levels[1], (1 + 2 / 4) / 3)
    enlarged = image_io.resize(small.astype("f4"), 72, 96)
    np.testing.assert_allclose(picture, enlarged, atol=1e-6)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_signals")
def test_an_interrupt_while_tensorflow_traces_is_put_off(
    images, settings, monkeypatch, capsys
):
    make = descent.make_train_step

    def interrupted(optimizer, objective, *rest):
        def evaluate(image):
            signal.raise_signal(signal.SIGINT)
            return objective(image)

        last = optimizer.image.shape[1] == 72
        return make(optimizer, evaluate if last else objective)

    monkeypatch.setattr(descent, "make_train_step", interrupted)
    settings = {**settings, "levels": 1}
    del settings["min_size"], settings["growth"]
    assert notebook.show(*images, **settings).shape == (72, 96, 3)
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.usefixtures("default_signals")
def test_an_interrupt_keeps_a_checkpoint(images, settings, painter, tmp_path):
    settings["checkpoint_dir"] = str(tmp_path / "kept")
    painter.events[11] = _interrupt
    notebook.show(*images, **settings)
    painter.events.clear()
    resumed = notebook.show(*images, **settings, resume="require")
    state = painter.starts[-1]
    assert (state.level, state.steps) == (2, 3)
    del settings["checkpoint_dir"]
    np.testing.assert_array_equal(resumed, nst_tf.stylize(*images, **settings))


@pytest.mark.usefixtures("default_signals")
def test_a_second_interrupt_comes_at_once(images, settings, painter):
    painter.events[3] = lambda step: [_interrupt(step), _interrupt(step)]
    with pytest.raises(KeyboardInterrupt):
        notebook.show(*images, **settings)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_signals")
def test_an_interrupt_that_is_ignored_stays_so(images, settings, painter):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    painter.events[3] = _interrupt
    notebook.show(*images, **settings)
    assert len(painter.plans) == 1
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_it_paints_in_a_thread_too(images, settings, painter):
    with concurrent.futures.ThreadPoolExecutor() as threads:
        shown = threads.submit(notebook.show, *images, **settings).result()
    np.testing.assert_array_equal(shown, nst_tf.stylize(*images, **settings))


def test_wrong_settings_are_refused_as_by_stylize(images):
    with pytest.raises(TypeError, match="output belongs to the command line"):
        notebook.show(*images, output="a.png")
    with pytest.raises(ValueError, match="every is 0, expected at least 1"):
        notebook.show(*images, every=0)
    with pytest.raises(TypeError, match="outptu"):
        notebook.show(*images, outptu="a.png")


def test_the_first_picture_comes_soon_and_others_in_their_time(monkeypatch):
    now = [5.0]
    times = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(notebook, "time", times)
    cell = notebook._Cell()
    assert cell.is_due()
    monkeypatch.setattr(cell, "renew", lambda *_: None)
    pytest.importorskip("IPython")
    cell.draw(np.zeros((4, 4, 3)))
    now[0] += 0.49
    assert not cell.is_due()
    now[0] += 0.02
    assert cell.is_due()


def test_tensorflows_warnings_of_traces_are_off_while_it_paints(
    images, settings, painter, caplog
):
    log = logging.getLogger("tensorflow")
    words = "5 out of the last 5 calls triggered tf.function retracing."
    painter.events[1] = lambda step: log.warning(words)
    notebook.show(*images, **settings)
    assert caplog.messages == []
    log.warning(words)
    assert caplog.messages == [words]


@pytest.mark.parametrize(
    ("ipython", "expected"),
    [
        (None, False),
        (types.SimpleNamespace(get_ipython=lambda: None), False),
        (types.SimpleNamespace(get_ipython=lambda: object()), False),
        (
            types.SimpleNamespace(
                get_ipython=lambda: types.SimpleNamespace(kernel=1)
            ),
            True,
        ),
    ],
)
def test_a_notebook_has_a_kernel(monkeypatch, ipython, expected):
    monkeypatch.setitem(cells.sys.modules, "IPython", ipython)
    assert cells.is_notebook() is expected


def test_pictures_are_drawn_beside_each_other():
    light, dark = np.ones((20, 40, 3)), np.zeros((40, 20), bool)
    pictures = {f"picture {number}": light for number in range(4)}
    drawn = notebook.beside({**pictures, "a mask": dark}, side=20)
    assert isinstance(drawn, painting.Painting)
    black = (np.asarray(drawn) == 0).all(-1)
    assert black.sum() == 10 * 20  # reduced to 20 pixels, in the second row
    rows, columns = np.nonzero(black)  # of three in the first row, two here
    assert rows.min() > 20
    assert 20 < columns.min() < columns.max() < 2 * drawn.shape[1] // 3


def test_captions_stand_under_pictures():
    drawn = notebook.beside({"a caption": np.full((40, 200, 3), 0.5)})
    middle = np.nonzero((np.asarray(drawn) == 0.5).all(-1))[0]
    below = drawn[middle.max() + 1 :]
    assert below.min() < 0.3


def test_pictures_are_none_or_wrong():
    with pytest.raises(ValueError, match="no pictures; pass at least"):
        notebook.beside({})
    with pytest.raises(ValueError, match="mine image has shape"):
        notebook.beside({"mine": np.zeros((4, 4, 5))})
