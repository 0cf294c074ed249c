"""The toy jobs: a name, settings, and where each of them is run."""

from collections.abc import Mapping
from typing import Any, NamedTuple

# Network layers whose tiles may be small, so that a toy picture has several.
SHALLOW = {
    "content_layers": "block2_conv2",
    "style_layers": ("block1_conv1,block2_conv1:2,block3_conv1",),
}
BASE: Mapping[str, Any] = {
    "content": "town.png",
    "style": ("paint.png",),
    "size": 64,
    "min_size": 64,
    "steps": (2,),
    "seed": 5,
    "weights": "small",
    "memory": 8.0,  # what is free decides nothing
    "style_loss": "gram",
    "content_weight": 5.0,
    "grain_weight": 0.0,
    **SHALLOW,
}
# Winograd convolutions need larger tiles, of 58 pixels, and larger pictures.
TILES = {"tile": 40, "convolution": "direct"}
# Little of the network, for what is about files rather than pixels.
QUICK = {
    "size": 48,
    "content_layers": "block1_conv2",
    "style_layers": ("block1_conv1",),
    "optimizer": "adam",
}
# Two levels, and steps for L-BFGS to use its history.
LEVELS = {"min_size": 32, "steps": (2, 4)}
TWO_STYLES = {"style": ("paint.png", "ink.png")}

FLOAT = ("float32",)
ROUNDED = ("float32", "bfloat16")
LARGE = ("float32", "large")
ALL = ("float32", "bfloat16", "plain", "large")


class Toy(NamedTuple):
    """One toy job: settings beside `BASE`."""

    settings: Mapping[str, Any]
    variants: tuple[str, ...] = FLOAT  # in which the library takes its steps
    programs: tuple[str, ...] = ()  # in which the program paints it, too


TOYS: Mapping[str, Toy] = {
    "whole": Toy(
        {
            "min_size": 32,
            "content_layers": "block4_conv2",
            "style_layers": (
                "block1_conv1,block2_conv1,block3_conv1,block4_conv1,"
                "block5_conv1",
            ),
        },
        ALL,
        FLOAT,
    ),
    # How it is minimized.
    "adam": Toy({"optimizer": "adam", **LEVELS}, ALL),
    "adam_settings": Toy(
        {
            "optimizer": "adam",
            "learning_rate": 0.05,
            "beta_1": 0.8,
            "beta_2": 0.9,
            "epsilon": 1e-6,
            "average": 0.5,
            "decay_rate": 0.5,
            "decay_steps": 2,
            "bounds": "none",
        },
        (),
        FLOAT,
    ),
    "lbfgs": Toy({"optimizer": "lbfgs", "history": 2, **LEVELS}, ALL),
    "sgd": Toy({"optimizer": "sgd", **LEVELS}, LARGE),
    "auto": Toy({"init": "noise", "min_size": 32}, ("large",)),
    "tolerance": Toy({"tolerance": 0.9, "steps": (12,)}, ("large",)),
    "levels": Toy(
        {"min_size": 24, "growth": 1.4, "levels": 3, "steps": (1, 2, 1)},
        (),
        FLOAT,
    ),
    # Memory.
    "tiles": Toy({**TILES, "optimizer": "lbfgs", **LEVELS}, ALL),
    "tiles_adam": Toy({**TILES, "optimizer": "adam"}, ALL, FLOAT),
    "tiles_sgd": Toy({**TILES, "optimizer": "sgd"}),
    "tiles_recomputed": Toy({**TILES, "content_target": "recompute"}, ALL),
    "tiles_winograd": Toy(
        {"tile": 58, "size": 96, "min_size": 96, "convolution": "winograd"}
    ),
    "tiles_by_memory": Toy(
        {"memory": 0.8332, "convolution": "direct", "optimizer": "adam"},
        (),
        FLOAT,
    ),
    "tiles_masks": Toy(
        {
            **TILES,
            **TWO_STYLES,
            "content_mask": "half.png",
            "keep_mask": "keep.png",
            "content": "cut.png",
            "style_loss": "wasserstein",
        },
        LARGE,
    ),
    # What is minimized.
    "moments": Toy({"style_loss": "moments"}, ALL),
    "wasserstein": Toy({"style_loss": "wasserstein"}, ALL),
    "mix": Toy(
        {
            "style_loss": "mix",
            "neighbors_layers": "block2_conv1,block3_conv1:2",
            "grain_weight": 0.05,
        },
        ALL,
        FLOAT,
    ),
    "mix_in_tiles": Toy(
        {
            **TILES,
            **TWO_STYLES,
            "style_loss": "mix",
            "neighbors_layers": "block2_conv1",
            "grain_weight": 0.05,
            "content_mask": "half.png",
        },
        LARGE,
    ),
    "neighbors": Toy({"style_loss": "neighbors"}, ALL),
    "sliced_wasserstein": Toy({"style_loss": "sliced_wasserstein"}, ALL),
    "strength": Toy({"strength": 0.3, "size": 48}, FLOAT, FLOAT),
    "strength_high": Toy({"strength": 0.8, "style_loss": "moments"}),
    "gatys2016": Toy({"convention": "gatys2016", "content_weight": 1.0}),
    "neural_style_pt": Toy(
        {"convention": "neural_style_pt", "optimizer": "adam"}, ROUNDED
    ),
    "keras": Toy({"convention": "keras", "tv_weight": 1e-6}, FLOAT, FLOAT),
    "crowson_w2": Toy(
        {"convention": "crowson_w2", "style_loss": "wasserstein"}
    ),
    "texture": Toy({"content_weight": 0.0, "init": "noise"}),
    "blend": Toy(
        {
            **TWO_STYLES,
            "style_blend": (0.7, 0.3),
            "style_scale": (1.0, 0.5),
            "style_layers": (*SHALLOW["style_layers"], "block2_conv2"),
            "style_fit": "side",
        },
        FLOAT,
        FLOAT,
    ),
    "folder": Toy(
        {"style": ("many", "ink.png"), "style_size": (40, 30)}, (), FLOAT
    ),
    "stretch": Toy({"style_fit": "stretch"}),
    "crop": Toy({"style_fit": "crop"}),
    "color_content": Toy({"color": "content"}, (), LARGE),
    "color_luminance": Toy({"color": "luminance"}, FLOAT, FLOAT),
    "color_match": Toy({"color": "match"}, LARGE),
    "color_histogram": Toy({"color": "histogram"}, LARGE),
    "color_regions": Toy(
        {
            **TWO_STYLES,
            "content_mask": "half.png",
            "color": "content,match",
        },
        (),
        LARGE,
    ),
    # Where.
    "content_mask": Toy({**TWO_STYLES, "content_mask": "half.png"}, ROUNDED),
    "style_masks": Toy(
        {
            **TWO_STYLES,
            "content_mask": "regions.png",
            "style_mask": ("paint_regions.png", "ink_regions.png"),
        },
        FLOAT,
        FLOAT,
    ),
    "strength_map": Toy({"strength_map": "soft.png"}, FLOAT, FLOAT),
    "keep_mask": Toy({"keep_mask": "keep.png"}, LARGE, FLOAT),
    "alpha": Toy({"content": "cut.png", "style": ("cut.png",)}, FLOAT, FLOAT),
    # Where it starts.
    "init_style": Toy({"init": "style", "init_noise": 0.2}),
    "init_gray": Toy({"init": "gray"}),
    "init_mean": Toy({"init": "mean", "init_noise": 0.3}),
    "init_picture": Toy({"init": "start.png"}, FLOAT, FLOAT),
    "continue_from": Toy({"continue_from": "start.png"}, FLOAT, FLOAT),
    # The network.
    "max_pooling": Toy({"pooling": "max", "padding": "zeros"}, ROUNDED),
    "rescaled_pooling": Toy(
        {"pooling": "average_rescaled", "padding": "symmetric"}, LARGE
    ),
    # Two devices, which share tiles.
    "devices": Toy(
        {**TILES, "devices": 2, "optimizer": "adam"}, ("devices",), ("devices",)
    ),
    "devices_recomputed": Toy(
        {**TILES, "devices": 2, "content_target": "recompute"}, ("devices",)
    ),
}


def settings_of(name: str, precision: str) -> dict[str, Any]:
    """Returns all settings of a toy job."""
    return merge({"precision": precision}, TOYS[name].settings)


def merge(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Adds settings to `BASE`, but for those of it that they displace."""
    added = {name: value for part in parts for name, value in part.items()}
    displaced = {"strength": "content_weight", "print_size": "size"}
    idle = {displaced[name] for name in added if name in displaced}
    base = {name: value for name, value in BASE.items() if name not in idle}
    if "print_size" in added:
        added.pop("size", None)
    return {**base, **added}


def flags(settings: Mapping[str, Any]) -> list[str]:
    """Writes settings as flags of the program."""
    written = []
    for name, value in settings.items():
        if isinstance(value, bool):
            written.append(f"--{'' if value else 'no'}{name}")
        elif isinstance(value, tuple) and isinstance(value[0], str):
            written += [f"--{name}={each}" for each in value]
        elif isinstance(value, tuple):
            written.append(f"--{name}={','.join(map(str, value))}")
        else:
            written.append(f"--{name}={value}")
    return written
