"""A job, its pictures and a machine -> a plan: arguments only, no files.

The layers are VGG19's first ones, of stride 2, so that pictures may be small.
"""

import dataclasses
import pickle

import numpy as np
import pytest
import toys

from nst_tf.images import color, image_io
from nst_tf.losses import conventions
from nst_tf.plan import inputs, planning, schedule, settings
from nst_tf.runs import resume

FIRST, SECOND = "block1_conv1", "block2_conv1"
CONTENT, A, B = (
    toys.picture(60, 80, 0),
    toys.picture(50, 40, 1),
    toys.picture(40, 56, 2),
)
MACHINE = planning.Machine()
SMALL = {
    "size": 96,
    "content_layers": SECOND,
    "style_layers": (f"{FIRST},{SECOND}",),
    "style_loss": "gram",  # alone: neighbors are looked for in deeper layers
}


def _make(*styles, content=CONTENT, counts=None, machine=MACHINE, **chosen):
    """A plan of arrays; `others` are among what is chosen."""
    read = inputs.Inputs(
        content,
        styles,
        counts or [1] * len(styles),
        chosen.pop("others", {}),
        network=toys.shapes(),
    )
    return planning.make_plan(
        settings.Job(**{**SMALL, **chosen}), read, machine
    )


def _sides(plan):
    return [level.width for level in plan.levels]


# Sizes, levels, layers and weights


def test_a_plan_has_the_levels_of_its_size():
    plan = _make(A, min_size=48, steps=(3, 2, 1))
    assert [(*level.size, level.steps) for level in plan.levels] == [
        (32, 48, 3), (72, 96, 2)
    ]  # fmt: skip
    assert plan.size == (72, 96)
    assert {level.optimizer for level in plan.levels} == {"lbfgs"}
    assert _sides(_make(A, min_size=48, levels=1)) == [96]


def test_a_print_is_as_large_as_its_paper_at_its_resolution():
    plan = _make(A, size=512, print_size="4x3in", dpi=24.0)
    assert plan.size == (72, 96) and plan.file.dpi == 24
    largest = settings.Job(print_size="8in", dpi=8192.0)
    assert schedule.resolve_print_size(largest, CONTENT).size == 65536
    with pytest.raises(ValueError) as raised:
        _make(A, size=512, print_size="400x300in")
    assert str(raised.value) == (
        "--print_size is '400x300in', which is 120000 pixels on the long side "
        "at 300 dpi; expected 1 to 65536. Change --print_size or --dpi."
    )


def test_a_strength_knows_the_size_of_a_print():
    # At this strength the one level is as large as the picture.
    printed = _make(A, size=512, print_size="4x3in", dpi=24.0, strength=0.3)
    plain = _make(A, strength=0.3)
    assert printed.levels == plain.levels and len(plain.levels) == 1
    assert plain.settings["min_size"] == 96 == printed.settings["min_size"]
    assert plain.settings["strength"] == -1
    # A checkpoint of the one is a checkpoint of the other.
    assert resume.make_identity(printed) == resume.make_identity(plain)


def test_weights_are_shared_among_layers_in_proportion():
    plan = _make(
        A,
        B,
        content_layers=f"{FIRST}:1,{SECOND}:3",
        content_weight=8.0,
        style_layers=(f"{FIRST}:0,{SECOND}", FIRST),
        style_weight=40.0,
        tv_weight=2.5,
    )
    assert plan.content_weights == {FIRST: 2.0, SECOND: 6.0}
    one, two = plan.regions[0].styles
    assert one.layers == {FIRST: 0.0, SECOND: 40.0}
    assert two.layers == {FIRST: 40.0}
    assert plan.tv_weight == 2.5
    assert plan.layers == [FIRST, SECOND]
    assert plan.deepest.name == SECOND


def test_the_layers_of_neighbors_are_seen_beside_the_others():
    chosen = {
        "content_layers": FIRST,
        "style_layers": (FIRST,),
        "neighbors_layers": SECOND,
        "neighbors_weight": 0.5,
        "style_weight": 40.0,
    }
    plan = _make(A, **chosen, style_loss="mix")
    assert plan.neighbors == {SECOND: 20.0}
    assert plan.layers == [FIRST, SECOND] and plan.deepest.name == SECOND
    plan = _make(A, **chosen)
    assert plan.neighbors == {}
    assert plan.layers == [FIRST] and plan.deepest.name == FIRST


def test_a_layer_without_a_weight_is_seen_all_the_same():
    plan = _make(A, content_layers="block2_conv2:0,block1_conv1", min_size=48)
    assert plan.deepest.name == "block2_conv2"


# Styles


def test_each_style_has_its_share_its_scale_and_its_alpha():
    alpha = np.linspace(0, 1, 2000, dtype="f4").reshape(50, 40)
    [region] = _make(
        A._replace(alpha=alpha), B, style_blend=(1.0, 3.0),
        style_scale=(0.5, 2.0),
    ).regions  # fmt: skip
    one, two = region.styles
    assert (one.weight, one.scale, one.image) == (1, 0.5, A.pixels)
    assert one.alpha is alpha and two.alpha is None
    assert (two.weight, two.scale) == (3, 2.0)
    assert (region.mask, region.name) == (None, "")


def test_a_style_without_a_share_has_no_part():
    [region] = _make(A, B, style_blend=(0.0, 1.0)).regions
    [style] = region.styles
    assert style.image is B.pixels


def test_pictures_of_a_folder_share_what_one_style_has():
    plan = _make(A, B, A, counts=[2, 1], style_scale=(0.5, 1.0))
    assert [style.weight for style in plan.regions[0].styles] == [0.5, 0.5, 1]
    assert plan.settings["style_scale"] == (0.5, 0.5, 1.0)


def test_a_size_of_the_style_is_that_beside_the_output():
    plan = _make(A, style_size=(120,), style_fit="side", min_size=48)
    assert plan.regions[0].styles[0].scale == pytest.approx(120 / 96)
    assert plan.style_fit == "side"


def test_a_plan_may_be_of_no_style():
    assert _make(style_weight=0.0, init="gray").regions == []
    for chosen in ({}, {"style_weight": 0.0, "init": "style"}):
        with pytest.raises(ValueError, match="no style image; pass one"):
            _make(**chosen)


# Masks and colors


def _half(value=1.0, size=(60, 80)):
    mask = np.zeros((*size, 3), "f4")
    mask[:, size[1] // 2 :] = value
    return image_io.Picture(mask)


def test_masks_say_what_is_painted_and_what_is_kept():
    masks = {"content_mask": _half(), "keep_mask": _half(0.25)}
    plan = _make(
        A,
        others={**masks, "init": _half(), "strength_map": _half()},
        content_mask="a.png",
        keep_mask="b.png",
    )
    [region] = plan.regions
    assert region.name == "#ffffff" and region.styles[0].image is A.pixels
    assert (region.mask[:, :40] == 0).all()
    assert (region.mask[:, 40:] == 0.75).all()
    np.testing.assert_array_equal(plan.keep, masks["keep_mask"].pixels[..., 0])
    # What the job does not name is no input of it.
    assert plan.inputs.others == masks
    assert _make(A).keep is None


@pytest.mark.parametrize("name", ["style", "content", "luminance", "match"])
def test_a_color_says_what_is_seen_and_what_is_transferred(name):
    plan = _make(A, color=name)
    image = plan.regions[0].styles[0].image
    if name in ("content", "luminance"):
        np.testing.assert_array_equal(plan.chroma, [[1]])
    else:
        assert plan.chroma is None
    if name == "luminance":
        np.testing.assert_array_equal(plan.content, color.to_gray(CONTENT[0]))
        assert np.ptp(image, axis=-1).max() < 1e-5
    else:
        assert plan.content is CONTENT.pixels
        assert (image is A.pixels) == (name != "match")


def test_a_note_says_which_share_of_values_is_clipped():
    extreme = CONTENT._replace(pixels=np.round(CONTENT.pixels))
    changed = color.match_moments(A.pixels, extreme.pixels)
    assert _make(A, content=extreme, color="match").notes == [
        f"{changed.share:.2%} of the style's values were clipped, in the "
        "content's colors"
    ]
    assert _make(A).notes == []


# How it starts


@pytest.mark.parametrize("word", ["content", "gray", "mean", "noise"])
def test_a_start_is_a_word_with_its_noise(word):
    plan = _make(A, init=word, init_noise=0.25, seed=7)
    assert plan.init == planning.Init(word, 7, 0.25)


def test_a_start_is_the_first_style_as_it_is_painted():
    init = _make(A, B, init="style", color="luminance").init
    assert init.word == "style"
    np.testing.assert_array_equal(
        init.picture, color.to_gray(A.pixels, CONTENT.pixels)
    )


def test_a_start_is_a_picture():
    start = toys.picture(320, 10, 5)
    init = _make(A, init="a.png", others={"init": start}).init
    assert (init.word, init.picture) == ("picture", start.pixels)
    longer = {"init": toys.picture(321, 10)}
    words = "init image is 10 x 321 pixels, more than 32 times as long as wide"
    with pytest.raises(ValueError, match=words):
        _make(A, init="a.png", others=longer)


def test_a_run_goes_on_from_a_smaller_one():
    chosen = {
        "min_size": 32,
        "size": 128,
        "growth": 2**0.5,
        "continue_from": "a",
    }
    chosen |= {"steps": (5, 4, 3, 2), "optimizer": "adam"}
    smaller = toys.picture(48, 64)
    plan = _make(A, others={"continue_from": smaller}, **chosen)
    assert plan.init.word == "smaller" and plan.init.picture is smaller.pixels
    assert [(each.width, each.steps) for each in plan.levels] == [
        (96, 2), (128, 2)
    ]  # fmt: skip
    for size, words in (
        ((60, 64), "another aspect"),
        ((96, 128), "raise --si"),
    ):
        with pytest.raises(ValueError, match=words):
            _make(A, others={"continue_from": toys.picture(*size)}, **chosen)


# What is too small, or a strip


@pytest.mark.parametrize("name", ["content", "style"])
def test_pictures_are_as_large_as_a_position_and_no_strips(name):
    def make(height, width, **chosen):
        picture = toys.picture(height, width)
        styles = [A, picture] if name == "style" else [A]
        content = picture if name == "content" else CONTENT
        return _make(*styles, content=content, **chosen)

    make(2, 64)
    words = (
        f"{name} image is 9 x 1 pixels, but {SECOND} needs at least 2 x 2; "
        f"pass a larger image."
    )
    with pytest.raises(ValueError, match=words):
        make(1, 9)
    words = f"{name} image is 2 x 65 pixels, more than 32 times as long as wide"
    with pytest.raises(ValueError, match=words):
        make(65, 2)


def test_an_output_is_as_large_as_a_position():
    assert _make(A, size=3).size == (2, 3)
    words = (
        "size is 2, which makes the output 2 x 1 pixels, but block3_conv1 "
        "needs at least 4 x 4; raise --size, or --dpi with --print_size."
    )
    flat = toys.picture(20, 40)
    with pytest.raises(ValueError, match=words):
        _make(A, content=flat, size=2, content_layers="block3_conv1")
    with pytest.raises(ValueError, match="raise --min_size or --style_scale"):
        _make(toys.picture(300, 10), size=32, min_size=32, style_scale=(0.1,))


# All else


def test_other_settings_reach_their_places():
    plan = _make(
        A,
        style_loss="moments",
        padding="zeros",
        pooling="max",
        precision="float16",
        tile=90,
        content_target="keep",
        memory=3.0,
        devices=0,
        max_seconds=12.0,
        tolerance=1e-3,
        checkpoint_dir="kept",
        checkpoint_every="7",
        resume="require",
        bit_depth=16,
        quality=50,
        dpi=72.0,
        keep_location=True,
        mark=False,
        record_paths=True,
        overwrite=True,
    )
    assert plan.style_loss == "moments"
    assert plan.network == ("vgg19", "max", "zeros", "float16", "direct", "")
    assert plan.tiling == (90, "keep", 3e9, 1)
    assert plan.stop == (12.0, 0.0, 1e-3, None)
    assert plan.checkpoints == ("kept", (7, 0.0), "require")
    assert plan.file == (16, 50, 72.0, True, False, True, True)
    assert plan.convention == conventions.CONVENTIONS["relative"]
    keras = _make(A, convention="keras", steps=(1,))
    assert keras.convention == conventions.CONVENTIONS["keras"]


def test_a_plan_that_says_nothing_is_that_of_a_job_that_says_nothing():
    plan = _make(A, convolution="direct")
    default = planning.Plan(plan.inputs, plan.content, plan.levels)
    for name in (
        *("convention", "style_loss", "style_fit", "keep", "init", "stop"),
        *("chroma", "network", "tiling", "checkpoints", "file"),
    ):
        assert getattr(plan, name) == getattr(default, name), name


def test_settings_are_recorded_as_they_were_decided():
    plan = _make(A, seed=7, strength=0.5, output="a.png", style_weight=1.0)
    names = settings.RECORDED | settings.IDENTITY
    assert set(plan.settings) == names
    assert plan.settings["seed"] == 7
    assert plan.settings["style_weight"] == 100  # the strength's
    assert list(plan.settings) == [n for n in settings.FIELDS if n in names]


@pytest.mark.parametrize(
    ("chosen", "error", "words"),
    [
        ({"size": 0}, ValueError, "size is 0, expected at least 1"),
        ({"steps": ["3"]}, TypeError, r"steps"),
        ({"style_blend": (1.0,) * 3}, ValueError, "style_blend has 3 val"),
        ({"strength": 1.5}, ValueError, "strength is 1.5"),
    ],
)
def test_wrong_settings_are_refused(chosen, error, words):
    with pytest.raises(error, match=words):
        _make(A, B, **chosen)


# The machine


def test_a_plan_fits_its_machine():
    machine = planning.Machine("bfloat16", 2e9, 3)
    plan = _make(A, machine=machine)
    assert plan.network.precision == "bfloat16"
    assert plan.tiling == (0, "auto", 2e9, 3)
    own = _make(A, machine=machine, precision="float32", memory=4.0, devices=2)
    assert own.network.precision == "float32"
    assert own.tiling == (0, "auto", 4e9, 3)
    unknown = _make(A, machine=MACHINE)
    assert unknown.tiling == (0, "auto", None, 1)
    little = planning.Machine(memory=1.03e9)
    small = _make(A, machine=little, optimizer="adam", convolution="direct")
    assert 0 < small.tiling.side < 96
    with pytest.raises(MemoryError, match="a picture of 96 x 72 pixels needs"):
        _make(A, machine=planning.Machine(memory=1e9))


def test_a_plan_fits_the_host_of_a_gpu_before_a_pixel_of_it_is_made():
    draft = planning.draft_plan(
        settings.Job(size=65536, min_size=65536, memory=1e6),
        inputs.Inputs(CONTENT, (A,), [1]),
    )
    for memory in (None, 1e12):
        machine = planning.Machine(memory=memory, host=2e10)
        with pytest.raises(MemoryError, match=r"65536 x 49152 .* at least 77"):
            planning.fit_plan(draft, machine)


def test_every_picture_counts_once():
    content = CONTENT._replace(alpha=CONTENT.pixels[..., 0].copy())
    read = inputs.Inputs(content, (A, A), [2], {"init": content})
    expected = A.pixels.nbytes + content.pixels.nbytes + content.alpha.nbytes
    assert read.size == expected


def test_convolutions_are_those_that_are_fast():
    def choose(*machine, is_gpu=False, **chosen):
        machine = planning.Machine(*machine, is_gpu=is_gpu)
        return _make(A, machine=machine, **chosen).network.convolution

    assert choose() == choose("float32", None, 2) == "winograd"
    assert choose("bfloat16") == choose("float32", is_gpu=True) == "direct"
    assert choose("bfloat16", precision="float32") == "winograd"
    assert choose(convolution="direct") == "direct"
    assert choose(is_gpu=True, convolution="winograd") == "winograd"
    with pytest.raises(ValueError, match="'winograd', which.*'bfloat16'; choo"):
        choose("bfloat16", convolution="winograd")


def test_a_draft_needs_no_network_but_a_plan_does():
    read = inputs.Inputs(CONTENT, (A,), [1])
    draft = planning.draft_plan(settings.Job(**SMALL, devices=4), read)
    assert draft.network.precision == "auto" and draft.tiling.devices == 4
    planning.fit_plan(draft, MACHINE)  # memory is unknown, and so is no matter
    with pytest.raises(ValueError, match="have no network; load it first"):
        planning.fit_plan(draft, planning.Machine(memory=1e9))


def test_a_plan_pickles():
    masks = {"content_mask": _half(), "keep_mask": _half(0.5)}
    plan = _make(
        A,
        others=masks,
        content_mask="a.png",
        keep_mask="b.png",
        convention="gatys2016",
        init="noise",
    )
    again = pickle.loads(pickle.dumps(plan))
    for field in dataclasses.fields(planning.Plan):
        expected, actual = (getattr(x, field.name) for x in (plan, again))
        assert _flat(actual) == _flat(expected), field.name
    assert again.size == plan.size and again.deepest == plan.deepest


def _flat(value):
    """A value whose arrays can be compared."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, dict):
        return {key: _flat(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_flat(each) for each in value]
    return value
