"""The rules of a job: each setting by itself, and settings together."""

import math

import numpy as np
import pytest

from nst_tf.plan import checks, settings


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"size": np.int64(9), "style_weight": np.float32(3)},
        {"style_weight": 3, "style_scale": (1, 2.0), "dpi": 1},
        {"dpi": 1.0, "print_size": "4x3in"},
        {"style_mask": ("a.png",), "content_mask": "b.png"},
        {"style_size": (99,)},
        {"style_blend": (0.0, 1.0)},
        {"resume": "require", "checkpoint_dir": "kept"},
        {"convention": "crowson_w2", "style_loss": "wasserstein"},
        {"convention": "crowson_w2"},
        {"strength": 0.5, "style_loss": "wasserstein"},
        {"strength": -1.0, "convention": "keras"},
        {"strength": 0.0},
        {"continue_from": "a.png"},
        {"init": "noise", "init_noise": 0.5},
        {"content": "-"},
        {"content": "https://example.org/a.png", "style": ("https://b.c/d",)},
        {"keep_mask": "https://example.org/a.png"},
        {"content_weight": 0.0},
        {"style_weight": 0.0},
        {"size": 65536, "quality": 100},
        {"color": ["match", "histogram"], "content_mask": "a.png"},
        {"color": "luminance,luminance"},
    ],
)
def test_a_job_may_say_so(chosen):
    checks.check(settings.Job(**chosen))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"size": 96.5}, "size is 96.5 of type float, expected int."),
        ({"size": True}, "size is True of type bool, expected int."),
        ({"style_weight": "1"}, "style_weight is '1' of type str, expected fl"),
        ({"style_weight": True}, "style_weight is True of type bool, expected"),
        ({"overwrite": 1}, "overwrite is 1 of type int, expected bool."),
        ({"content": None}, "content is None of type NoneType, expected str."),
        ({"steps": (1, 2.5)}, "steps is (1, 2.5) of type tuple, expected "),
        ({"style": [1]}, "style is (1,) of type tuple, expected tuple[str, "),
        ({"style_scale": (1.0, True)}, "style_scale is (1.0, True) of type tu"),
        ({"color": ("match", 5)}, "color is ('match', 5) of type tuple, expec"),
    ],
)
def test_a_value_of_another_type_is_refused(chosen, words):
    with pytest.raises(TypeError) as raised:
        checks.check(settings.Job(**chosen))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"optimizer": "lbgfs"}, "unknown optimizer 'lbgfs'; did you mean 'lb"),
        ({"bit_depth": 9}, "unknown bit_depth 9; expected 8 or 16."),
        (
            {"weights": "https://example.org/a.h5"},
            "weights is the address https://example.org/a.h5, but only input",
        ),
        ({"output": "ftp://example.org/a.png"}, "output is the address ftp://"),
        ({"init": ""}, "init is empty; expected content, noise, style, gray"),
        ({"weights": ""}, "weights is empty; expected auto, imagenet, small"),
        ({"style": ("a.png", "")}, "style is empty; expected the path"),
        ({"size": 0}, "size is 0, expected at least 1 and at most 65536."),
        ({"size": 65537}, "size is 65537, expected at least 1 and at most 655"),
        ({"growth": 1.0}, "growth is 1.0, expected "),
        ({"beta_1": 1.0}, "beta_1 is 1.0, expected at least 0 and below 1."),
        ({"epsilon": 0.0}, "epsilon is 0.0, expected above 0"),
        ({"style_weight": math.inf}, "style_weight is inf, expected at least"),
        ({"style_weight": math.nan}, "style_weight is nan"),
        ({"steps": (3, 0)}, "steps is 0, expected at least 1"),
        ({"content_layers": "block1_conv1:x"}, "content_layers has 'block1_co"),
        ({"content_layers": "conv"}, "vgg19 has no layer 'conv'"),
        ({"content_layers": ","}, "content_layers has '', expected name:wei"),
        ({"content_layers": "block1_conv1:-1"}, "content_layers has 'block1_"),
        (
            {"content_layers": "block1_conv1:0"},
            "give at least one layer a weight",
        ),
        ({"content_layers": ",".join(["block1_conv1"] * 2)}, "_conv1 twice"),
        (
            {"strength": -0.5},
            "strength is -0.5, expected at least 0 and at most",
        ),
        ({"seed": 10**400}, "expected at least 0 and at most 4294967295"),
        ({"extractor": "vgg91"}, "unknown extractor 'vgg91'; did you mean"),
        ({"style_layers": ("block1_conv1", "conv")}, "has no layer 'conv'"),
        (
            {"style_scale": ()},
            "style_scale is empty; expected at least one number, such as 1.",
        ),
        ({"style_blend": (0.0, 0.0)}, "style_blend is 0 for all styles; raise"),
        ({"color": "match,styles"}, "unknown color 'styles'; did you mean 'st"),
        ({"color": "match,"}, "unknown color ''; expected style, content, lu"),
        ({"color": []}, "unknown color ''"),
        (
            {"color": "style,luminance", "content_mask": "a.png"},
            "--color is style,luminance, but luminance makes the whole picture "
            "gray for the network; use it for all styles, or content instead.",
        ),
        ({"style_mask": ("a.png",)}, "style_mask needs a --content_mask"),
        ({"dpi": 0.5}, "dpi is 0.5; expected at least 1, or 0 for the defaul"),
        ({"print_size": "big"}, "print_size is 'big'"),
        ({"checkpoint_every": "0s"}, "checkpoint_every is '0s', expected ste"),
        (
            {"resume": "require"},
            "resume is 'require', but there is no checkpoint",
        ),
        (
            {"device": "cuda:1"},
            "unknown device 'cuda:1'; did you mean 'gpu:1'?",
        ),
        ({"content": "-", "style": ("-",)}, "several pictures are '-'"),
        ({"content": "-", "continue_from": "-"}, "several pictures are"),
        ({"style": ("-",), "init": "-"}, "several pictures are"),
        (
            {"content_weight": 0.0, "style_weight": 0.0},
            "--content_weight and --style_weight are both 0, so that there",
        ),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(chosen, words):
    with pytest.raises(ValueError) as raised:
        checks.check(settings.Job(**chosen))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", settings.FIELDS)
def test_the_bounds_of_a_number_are_where_the_table_says(name):
    field = settings.FIELDS[name]
    rules, number = field.metadata, field.type
    if number not in (int, float):
        return
    step = 1 if number is int else 1e-6
    for rule, side in (("low", -1), ("high", 1), ("above", -1), ("below", 1)):
        if rule not in rules:
            continue
        bound = number(rules[rule])
        inside = rule in ("low", "high")
        beyond = bound + side * step * max(1, abs(bound)) if inside else bound
        checks._check_number(name, bound - side * step * (not inside), rules)
        with pytest.raises(ValueError, match=f"{name} is "):
            checks._check_number(name, beyond, rules)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50", (50, 0)), ("60s", (0, 60)), ("0.5s", (0, 0.5)), ("1e9s", (0, 1e9))],
)
def test_an_interval_is_of_steps_or_of_seconds(text, expected):
    assert settings.parse_interval(text) == expected


@pytest.mark.parametrize("text", ["", "s", "0", "-1", "1.5", "nans", "2e9s"])
def test_what_is_no_interval_is_said(text):
    with pytest.raises(ValueError, match="every is .*, expected steps, such"):
        settings.parse_interval(text, "every")


def test_an_interval_is_over_after_its_steps_or_its_seconds():
    steps, seconds = settings.Interval(5, 0), settings.Interval(0, 2.5)
    assert [steps.is_over(n, 99) for n in (4, 5, 6)] == [False, True, True]
    assert [seconds.is_over(99, s) for s in (2.4, 2.5)] == [False, True]


def test_layers_are_read_with_their_weights():
    parse = settings.parse_layers
    assert parse("a:2, b:0.5,c,d:0") == {"a": 2, "b": 0.5, "c": 1, "d": 0}
    assert parse("a:1e9") == {"a": 1e9}
    for text, words in (
        ("a:-1", "layers has 'a:-1', expected name:weight with"),
        ("a:x", "layers has 'a:x'"),
        ("a:2e9", "at most 1e9"),
        (":1", "layers has ':1'"),
        ("a,a", "layers has a twice."),
        ("a:0", "layers is 'a:0'; give at least one layer a weight above 0."),
    ):
        with pytest.raises(ValueError, match=words):
            parse(text)
