"""Defines all settings, as the fields of `Job`, the request for one picture.

A field states its default, help, limits and role. From it follow the flag, the
keyword of `stylize`, the entries in records and checkpoints, and the
documentation. Roles decide:

    role      recorded   identity   keyword   swept   beside --rerun
    PIXELS    yes        yes        yes       yes     no
    FILE      yes        no         no        no      yes
    RUN       no         no         yes       no      yes
    PROGRAM   no         no         no        no      yes

Paths are exceptions: the record has the picture's name, the identity its
digest, and --rerun accepts a new path. A field may override its role.
"""

import collections
import dataclasses
import enum
import functools
import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, get_args

from nst_tf import errors, screens, urls
from nst_tf.backend import device
from nst_tf.losses import conventions, style_kinds
from nst_tf.network import architectures
from nst_tf.plan import optimizers

T = TypeVar("T")
LARGEST_SIZE = 65536  # pixels per side; the limit of Pillow's formats


class Role(enum.Enum):
    """The purpose of a setting; the module's docstring has the table."""

    PIXELS = enum.auto()  # it changes the picture
    FILE = enum.auto()  # it changes how the picture is written
    RUN = enum.auto()  # it changes how the picture is computed
    PROGRAM = enum.auto()  # it changes what else the program does


def setting(
    default: Any, group: str, text: str, role: Role = Role.PIXELS, **rules: Any
) -> Any:
    """Declares a field of `Job`.

    Args:
        default: Its value if the user does not set it.
        group: Heading in --help and in the reference.
        text: Its help text.
        role: Its purpose.
        **rules: low, high, above, below: limits of a number; off: a value
            outside these that switches it off; choices: the allowed values, or
            a table that may get more later; path: kind of path ("picture",
            "mask", "start" or "weights"), with keywords that are not paths;
            examples: for completion; writes: names a file or folder to write;
            joined: True if several choices may be given, as a list or as text
            with commas, which it is stored as; of_styles: the i-th value
            belongs to the i-th style; absent: the value for a record without
            it, if not the default; later: True if checkpoints without it are
            valid for its default; short: the letter of its flag; synonyms: its
            names in other programs; recorded, identity, keyword, swept, rerun,
            in_sheets: override its role.
    """
    return dataclasses.field(
        default=default,
        metadata={"group": group, "help": text, "role": role, **rules},
    )


_STYLE_LOSSES = [
    f"{k.words} ({name})" for name, k in style_kinds.STYLE_LOSSES.items()
]
# Type of a field with several values -> type of one value.
ITEM_TYPES: Mapping[Any, Any] = {
    tuple[str, ...]: str,
    tuple[int, ...]: numbers.Integral,
    tuple[float, ...]: numbers.Real,
}


def check_names(
    function: str, names: Iterable[str], known: Iterable[str]
) -> None:
    """Checks the names of keywords.

    Args:
        function: Name of the function or class that they are passed to.
        names: The names.
        known: The names that it accepts.

    Raises:
        TypeError: If a name is unknown; the message suggests the nearest one.
    """
    words = list(known)
    for name in names:
        if name not in words:
            near = suggest(name, words)
            raise TypeError(
                f"{function}() has no setting {name!r}"
                f"{near or '; help(nst_tf.Job) lists them.'}"
            )


def _suggest(job: type[T]) -> type[T]:
    """Decorates a class of settings: suggestions for names, a docstring.

    Misspelled settings raise an error with a suggestion. The docstring of the
    class explains each setting.
    """
    take = job.__init__

    @functools.wraps(take)
    def initialize(self: T, *args: Any, **chosen: Any) -> None:
        check_names("Job", chosen, FIELDS)
        take(self, *args, **chosen)

    job.__init__ = initialize  # type: ignore[assignment]
    job.__doc__ = "\n".join(
        [
            f"{job.__doc__}\n    Attributes:",
            *(
                f"        {name}: {each.metadata['help']}"
                for name, each in job.__dataclass_fields__.items()  # type: ignore[attr-defined]
            ),
        ]
    )
    return job


@_suggest
@dataclasses.dataclass(frozen=True)
class Job:
    """A request for one picture, in strings and numbers only.

    The fields are the flags of the program and the keywords of
    `nst_tf.stylize`.
    """

    content: str = setting(
        "",
        "Pictures",
        "Photograph to repaint: a file, an address, or - for standard input.",
        path="picture",
        keyword=False,
        synonyms="content_image content_img content_path image input photo",
    )
    style: tuple[str, ...] = setting(
        (),
        "Pictures",
        "Painting to imitate: a picture, or a folder of pictures that count "
        "as one. Repeat for several styles; style_scale, style_layers and "
        "color may then be given once for all, or once per style, in order.",
        path="picture",
        keyword=False,
        synonyms="painting style_image style_images style_img style_path",
    )
    output: str = setting(
        "",
        "Pictures",
        "Picture to write; the extension sets the format. Default: "
        "<content>-<style>.png in the working directory, numbered if it "
        "exists. -: a PNG on standard output.",
        role=Role.FILE,
        recorded=False,
        writes=True,
        short="o",
        synonyms="out output_image output_path result save save_path",
    )
    overwrite: bool = setting(
        False,
        "Pictures",
        "Replace the output if it exists.",
        role=Role.FILE,
        recorded=False,
        short="y",
        synonyms="clobber force yes",
    )
    size: int = setting(
        512,
        "Pictures",
        "Long side of the output in pixels; may be larger than the content.",
        low=1,
        high=LARGEST_SIZE,
        short="s",
        synonyms="height image_size img_size imsize max_size resolution width",
    )
    print_size: str = setting(
        "",
        "Pictures",
        "Paper size that the output must fit, portrait or landscape, such as "
        "30x40cm, 300x400mm or 12x16in; or its long side, such as 40cm; or "
        "A0 to A6, letter, legal or tabloid. Replaces size.",
        examples=("A2", "A3", "A4", "A5", "letter", "legal", "tabloid"),
        swept=False,
    )
    dpi: float = setting(
        0.0,
        "Pictures",
        "Pixels per inch, used by --print_size and stored in the file. 0: 300 "
        "with --print_size, otherwise the content image's value.",
        low=0,
        high=1e4,
        role=Role.FILE,
    )
    preview_every: int = setting(
        0,
        "Pictures",
        "Write <output>.preview.png every N steps; 0: never.",
        low=0,
        role=Role.PROGRAM,
    )
    dry_run: bool = setting(
        False,
        "Pictures",
        "Print the plan and stop. Nothing is downloaded.",
        role=Role.PROGRAM,
        in_sheets=True,
        synonyms="plan simulate",
    )
    progress: str = setting(
        "auto",
        "Progress and messages",
        "Progress on standard error. auto: a bar on a terminal, else plain; "
        "plain: a line every 10 seconds; json: JSON lines, for other "
        "programs; none.",
        choices=screens.MODES,
        role=Role.PROGRAM,
        in_sheets=True,
    )
    quiet: bool = setting(
        False,
        "Progress and messages",
        "Print only errors, warnings and the picture's path.",
        role=Role.PROGRAM,
        in_sheets=True,
        short="q",
    )
    verbose: bool = setting(
        False,
        "Progress and messages",
        "Also print the whole plan, and at the end the losses by layer.",
        role=Role.PROGRAM,
        in_sheets=True,
        short="v",
    )
    sheet: bool = setting(
        False,
        "Contact sheets",
        "Make a contact sheet instead: a small picture for each value of "
        "--sweep, with its options below it.",
        role=Role.PROGRAM,
        in_sheets=True,
    )
    sweep: tuple[str, ...] = setting(
        (),
        "Contact sheets",
        "An option and its values for a sheet, such as strength:0.2,0.5,0.8; "
        "separate values that contain commas by semicolons, as in "
        "style_blend:1,0;0.5,0.5. Give it twice for a grid. Default: strength "
        "and style_scale.",
        role=Role.PROGRAM,
        in_sheets=True,
    )
    sheet_size: int = setting(
        256,
        "Contact sheets",
        "Long side of each picture of a sheet, in pixels.",
        low=16,
        high=4096,
        role=Role.PROGRAM,
        in_sheets=True,
    )
    sheet_scores: bool = setting(
        False,
        "Contact sheets",
        "Write scores under each picture of a sheet: style and content "
        "distance and SSIM, as by python -m nst_tf.judge, with the network of "
        "--weights.",
        role=Role.PROGRAM,
        in_sheets=True,
    )
    bit_depth: int = setting(
        8,
        "Files",
        "Bits per channel of the output, 8 or 16; 16 for .png and .tif only.",
        choices=(8, 16),
        role=Role.FILE,
    )
    quality: int = setting(
        95,
        "Files",
        "Quality of .jpg and .webp outputs.",
        low=1,
        high=100,
        role=Role.FILE,
    )
    keep_location: bool = setting(
        False,
        "Files",
        "Keep the content's GPS position. Author, date and camera are always "
        "kept.",
        role=Role.FILE,
        recorded=False,
    )
    mark: bool = setting(
        True,
        "Files",
        "State in the output that it is generated, as IPTC's "
        "DigitalSourceType (compositeWithTrainedAlgorithmicMedia).",
        role=Role.FILE,
        recorded=False,
    )
    record_paths: bool = setting(
        False,
        "Files",
        "Record the paths of pictures and weights in the output, not only "
        "their names.",
        role=Role.FILE,
        recorded=False,
    )
    rerun: str = setting(
        "",
        "Files",
        "Repeat the run that made this picture, with the choices recorded in "
        "it. --content and --style say where the inputs are now.",
        role=Role.PROGRAM,
        path="picture",
    )
    log: str = setting(
        "",
        "Files",
        "Log the run to this file, in lines of JSON: a header, each step with "
        "its losses by layer, time and memory, and the end (docs/log.md). "
        "The log of a killed run is continued when the same job runs again.",
        role=Role.PROGRAM,
    )
    log_every: int = setting(
        1,
        "Files",
        "Log every N-th step.",
        low=1,
        role=Role.PROGRAM,
        writes=True,
    )
    summary_dir: str = setting(
        "",
        "Files",
        "Folder for TensorBoard, one per run: losses by layer, pictures, "
        "steps per second, options. Needs nst-tf[tensorboard].",
        role=Role.PROGRAM,
        writes=True,
    )
    timelapse: str = setting(
        "",
        "Files",
        "Film of the picture as it grows: .gif, .webp, or .mp4, which needs "
        "nst-tf[video]. About 100 frames of at most 512 pixels; numbered if "
        "it exists, unless --overwrite.",
        role=Role.PROGRAM,
        writes=True,
        synonyms="animation film gif video",
    )
    max_megapixels: float = setting(
        200.0,
        "Files",
        "Largest input picture, in millions of pixels.",
        above=0,
        high=1e5,
        role=Role.RUN,
    )
    strength: float = setting(
        -1.0,
        "Losses",
        "From 0, the photograph, to 1, the painting: sets content_weight, "
        "style_weight, tv_weight and min_size, and below 0.4 a smaller "
        "learning rate. -1: off.",
        low=0,
        high=1,
        off=-1.0,
    )
    content_weight: float = setting(
        25.0,
        "Losses",
        "Weight of the content loss.",
        low=0,
        high=1e12,
        absent=5.0,
        synonyms="alpha content_loss_weight",
    )
    style_weight: float = setting(
        100.0,
        "Losses",
        "Weight of the style loss.",
        low=0,
        high=1e12,
        synonyms="beta style_loss_weight",
    )
    neighbors_weight: float = setting(
        0.5,
        "Losses",
        "mix: weight of the nearest-neighbor loss, relative to style_weight.",
        low=0,
        high=1e12,
    )
    grain_weight: float = setting(
        -1.0,
        "Losses",
        "Weight of the grain loss, relative to style_weight: it limits fine "
        "detail, in each color, to that of the style. -1: 0.05, or 0 with a "
        "source's convention.",
        low=0,
        high=1e12,
        off=-1.0,
        absent=0.0,
    )
    tv_weight: float = setting(
        50.0,
        "Losses",
        "Weight of total variation, which smooths the picture.",
        low=0,
        high=1e12,
        synonyms="smoothness total_variation total_variation_weight tv tv_loss",
    )
    l2_weight: float = setting(
        0.0,
        "Losses",
        "Weight of an L2 prior, which draws pixels to gray.",
        low=0,
        high=1e12,
        later=True,
    )
    range_weight: float = setting(
        0.0,
        "Losses",
        "Weight of a range prior, the sixth power of the distance to gray, "
        "which draws pixels from black and white.",
        low=0,
        high=1e12,
        later=True,
    )
    convention: str = setting(
        "relative",
        "Losses",
        "Loss normalization: relative, or that of a published implementation; "
        "weights are then in its units.",
        choices=tuple(conventions.CONVENTIONS),
    )
    style_loss: str = setting(
        "auto",
        "Losses",
        f"Style statistics to compare: {', '.join(_STYLE_LOSSES[:-1])}, or "
        f"{_STYLE_LOSSES[-1]}. auto: mix, or those of the convention's source.",
        choices=collections.ChainMap[str, Any](
            style_kinds.STYLE_LOSSES,  # type: ignore[arg-type]
            {"auto": None},
        ),
        absent="gram",
    )
    scales: int = setting(
        0,
        "Losses",
        "Scales of the style loss: with 2, sizes above 512 compare the picture "
        "and half of it, so that a large picture stays like its preview; with "
        "3, sizes above 1024 also a quarter. 0: 2, or 1 with a source's "
        "convention.",
        low=0,
        high=3,
        absent=1,
    )
    normalize_gradients: bool = setting(
        False,
        "Losses",
        "Divide the gradient of each loss of features, at its layer, by the "
        "sum of its absolute values, as neural-style does on request. For adam "
        "and sgd, without tiles.",
        later=True,
    )
    style_fit: str = setting(
        "keep",
        "Losses",
        "How style images are resized. keep: same pixel count as the output; "
        "side: same long side; stretch: same size, distorted; crop: same "
        "size, cropped.",
        choices=("keep", "side", "stretch", "crop"),
    )
    style_blend: tuple[float, ...] = setting(
        (),
        "Losses",
        "Proportions of several styles, such as 0.7,0.3. Default: equal.",
        low=0,
        high=1e9,
        repeated=True,
        of_styles=True,
    )
    style_scale: tuple[float, ...] = setting(
        (1.0,),
        "Losses",
        "Stroke size: scales the style image. 2 gives strokes twice as large.",
        low=0.1,
        high=4,
        repeated=True,
        of_styles=True,
    )
    style_size: tuple[int, ...] = setting(
        (),
        "Losses",
        "Long side of a style image in pixels, at the output's final size; "
        "replaces style_scale.",
        low=16,
        high=LARGEST_SIZE,
        repeated=True,
        of_styles=True,
    )
    color: str = setting(
        "style",
        "Losses",
        "Colors of the result. style: the painting's; content: the content's; "
        "only lightness is painted; luminance: the same, and the network "
        "receives only lightness; match: the painting's, shifted to "
        "the content's mean and covariance; histogram: mapped to its "
        "histograms. May be one per style, such as content,style with a "
        "content_mask.",
        choices=("style", "content", "luminance", "match", "histogram"),
        joined=True,
        of_styles=True,
        synonyms="colors colour keep_colors original_colors preserve_color",
    )
    content_layers: str = setting(
        "block4_conv2",
        "Losses",
        "Layers of the content loss, as name:weight,name:weight; the weights "
        "are shares of content_weight.",
    )
    style_layers: tuple[str, ...] = setting(
        (),
        "Losses",
        "Layers of the style loss, as name:weight,name:weight; the weights are "
        "shares of style_weight. The first layers hold colors and fine "
        f"strokes, the last larger shapes. Default: {style_kinds.LAYERS}, or "
        f"for neighbors {style_kinds.NEIGHBORS_LAYERS}. For across, pairs such "
        "as block1_conv1+block2_conv1.",
        of_styles=True,
        absent=(style_kinds.LAYERS,),
    )
    neighbors_layers: str = setting(
        style_kinds.NEIGHBORS_LAYERS,
        "Losses",
        "mix: layers of the nearest-neighbor loss, in the same form.",
    )
    content_mask: str = setting(
        "",
        "Masks",
        "Mask for several styles, in the content's aspect ratio. In gray, "
        "white gets the first style and black the second, or none. In color, "
        "each color is a region; styles go from the lightest region to the "
        "darkest.",
        path="mask",
    )
    style_mask: tuple[str, ...] = setting(
        (),
        "Masks",
        "Mask of a style, in its aspect ratio and the colors of content_mask: "
        "each region of the content takes its style from the same color here. "
        "Repeat for several styles.",
        path="mask",
    )
    strength_map: str = setting(
        "",
        "Masks",
        "Gray mask in the content's aspect ratio: how strongly each place is "
        "painted, from black (not at all) to white.",
        path="mask",
    )
    keep_mask: str = setting(
        "",
        "Masks",
        "Gray mask in the content's aspect ratio: white areas stay unchanged.",
        path="mask",
    )
    steps: tuple[int, ...] = setting(
        (),
        "Optimization",
        "Steps at each level, from the smallest; the last number is repeated. "
        "Default: 50,50,40,50 (L-BFGS) or 100,80,50 (Adam).",
        low=1,
        high=10**6,
        identity=False,  # the levels are
        synonyms="epochs iter iterations iters max_iter num_iterations "
        "num_steps",
    )
    max_seconds: float = setting(
        0.0,
        "Optimization",
        "Time limit in seconds; steps are reduced at all levels to meet it. "
        "0: no limit.",
        low=0,
        identity=False,  # a resumed run may take longer
    )
    tolerance: float = setting(
        0.0,
        "Optimization",
        "End a level when a step changes the picture by less than this (root "
        "mean square, 1 is black to white). 0: never.",
        low=0,
        below=1,
    )
    levels: int = setting(
        0,
        "Optimization",
        "Maximum number of levels; the largest are kept. 0: all.",
        low=0,
        identity=False,
    )
    min_size: int = setting(
        128,
        "Optimization",
        "Long side of the first level.",
        low=16,
        high=LARGEST_SIZE,
        identity=False,
    )
    growth: float = setting(
        2.0,
        "Optimization",
        "Approximate ratio between the sizes of successive levels.",
        low=1.1,
        high=16,
        identity=False,
    )
    init: str = setting(
        "content",
        "Optimization",
        "Starting image: content, noise, style, gray, mean (the mean color of "
        "the network's training pictures), or a file.",
        keywords=("content", "noise", "style", "gray", "mean"),
        path="start",
        recorded=True,  # it may be a keyword
        synonyms="init_image initialization start",
    )
    continue_from: str = setting(
        "",
        "Optimization",
        "Start from this smaller result of the same content, and run only the "
        "larger levels.",
        path="start",
        in_sheets=False,
        swept=False,
    )
    init_noise: float = setting(
        0.0,
        "Optimization",
        "Proportion of noise mixed into the starting image, from 0 to 1.",
        low=0,
        high=1,
    )
    seed: int = setting(
        0,
        "Optimization",
        "Seed of the noise.",
        low=0,
        high=2**32 - 1,
        synonyms="random_seed rng",
    )
    optimizer: str = setting(
        "auto",
        "Optimization",
        "Optimizer; lbfgs reaches lower losses and needs more memory. auto: "
        "lbfgs up to 512 pixels, adam above or with a setting of adam.",
        choices=collections.ChainMap[str, Any](
            optimizers.OPTIMIZERS,
            {"auto": None},  # ChainMap lists it first
        ),
    )
    learning_rate: float = setting(
        0.02,
        "Optimization",
        "Step size; 1 is the range from black to white. For lbfgs, of the "
        "first step.",
        above=0,
        high=1e6,
        synonyms="lr step_size",
    )
    beta_1: float = setting(
        0.9, "Optimization", "Adam: decay of the first moment.", low=0, below=1
    )
    beta_2: float = setting(
        0.99,
        "Optimization",
        "Adam: decay of the second moment.",
        low=0,
        below=1,
    )
    epsilon: float = setting(
        1e-8,
        "Optimization",
        "Adam: added to the square root of the second moment.",
        above=0,
    )
    carry_moments: bool = setting(
        False,
        "Optimization",
        "Adam: start a level with the resampled moments of the level before, "
        "as style-transfer-pytorch does.",
        later=True,
    )
    average: float = setting(
        0.95,
        "Optimization",
        "Adam, SGD: decay of the running average that becomes the result; 0: "
        "off.",
        low=0,
        below=1,
    )
    decay_rate: float = setting(
        1.0,
        "Optimization",
        "Adam, SGD: factor of the learning rate per decay_steps steps.",
        low=1e-6,
        high=1,
    )
    decay_steps: int = setting(
        100,
        "Optimization",
        "Adam, SGD: steps per factor of decay_rate.",
        low=1,
        high=10**6,
    )
    bounds: str = setting(
        "box",
        "Optimization",
        "box: clip to black and white after each step; none: only when saving.",
        choices=("box", "none"),
    )
    history: int = setting(
        10,
        "Optimization",
        "L-BFGS: number of past updates to remember.",
        low=1,
        high=1000,
    )
    extractor: str = setting(
        "vgg19",
        "Network",
        "Network that computes the features.",
        choices=architectures.NETWORKS,
        synonyms="arch backbone model net network",
    )
    weights: str = setting(
        "auto",
        "Network",
        "Network weights. auto: the bundled VGG19; small: a bundled narrow "
        "VGG19, for previews; imagenet: Keras's file, which is downloaded; or "
        "an HDF5 file.",
        keywords=("auto", "imagenet", "small"),
        path="weights",
    )
    pooling: str = setting(
        "average",
        "Network",
        "Pooling of the network.",
        choices=architectures.POOLINGS,
    )
    padding: str = setting(
        "symmetric_first",
        "Network",
        "Padding: zeros, mirrored at the first layer only, or mirrored at "
        "every layer.",
        choices=architectures.PADDINGS,
    )
    precision: str = setting(
        "auto",
        "Network",
        "Data type of the network; auto: the fastest accurate one.",
        choices=device.PRECISIONS,
        identity=False,  # the resolved value is
        synonyms="amp dtype fp16 half",
    )
    convolution: str = setting(
        "auto",
        "Network",
        "Convolution algorithm: direct; winograd, faster, for float32 and "
        "layers of 128 channels or more; auto: winograd for float32 on a CPU.",
        choices=("auto", *architectures.CONVOLUTIONS),
        identity=False,  # the resolved value is
    )
    memory: float = setting(
        0.0,
        "Memory",
        "Memory limit of the run in GB; larger pictures are processed in "
        "tiles, with the same result. 0: 90 % of the free memory.",
        low=0,
        high=1e6,
        role=Role.RUN,
        synonyms="max_memory ram",
    )
    tile: int = setting(
        0,
        "Memory",
        "Maximum tile size: at most N x N pixels. 0: as large as memory "
        "allows.",
        low=0,
        high=LARGEST_SIZE,
        identity=False,  # tiles only change rounding
    )
    content_target: str = setting(
        "auto",
        "Memory",
        "With tiles: keep the content's features in memory, or recompute them "
        "for each tile (slower, less memory). auto: depends on the memory.",
        choices=("auto", "keep", "recompute"),
        identity=False,
    )
    device: str = setting(
        "auto",
        "Devices",
        "Device: auto, a GPU if there is one; cpu; gpu, the first GPU; gpu:1, "
        "the second, and so on. In Python, the first picture decides for the "
        "process.",
        role=Role.RUN,
        examples=("auto", "cpu", "gpu", "gpu:1"),
        synonyms="cpu cuda gpu gpu_id",
    )
    deterministic: bool = setting(
        False,
        "Devices",
        "Make a GPU repeat a picture to the bit, by TensorFlow's "
        "deterministic operations, which are slower. CPUs do so anyway. In "
        "Python it then stays on in this process.",
        swept=False,
        later=True,
        synonyms="determinism enable_op_determinism reproducible",
    )
    devices: int = setting(
        1,
        "Devices",
        "Number of GPUs to use; 0: all. TF_CONFIG adds other machines.",
        low=0,
        role=Role.RUN,
        synonyms="gpus num_gpus",
    )
    checkpoint_dir: str = setting(
        "",
        "Checkpoints",
        "Folder for checkpoints, from which a killed run resumes. Empty: none.",
        role=Role.RUN,
        rerun=False,
        in_sheets=False,
        writes=True,
    )
    checkpoint_every: str = setting(
        "60s",
        "Checkpoints",
        "Interval of checkpoints: in steps, such as 50, or seconds, such as "
        "60s.",
        role=Role.RUN,
        rerun=False,
    )
    resume: str = setting(
        "auto",
        "Checkpoints",
        "auto: resume if a checkpoint of the same job exists; never; require: "
        "fail if there is none.",
        choices=("auto", "never", "require"),
        role=Role.RUN,
        rerun=False,
    )

    def __post_init__(self) -> None:
        """Accepts equivalent values: 100 or [100] for (100,), 64.0 for 64."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if "joined" in field.metadata:
                value = _join(value)
            object.__setattr__(self, field.name, _convert(field.type, value))


def _join(value: Any) -> Any:
    """Joins several texts by commas; returns other values unchanged."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    if several and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return value


def _convert(kind: Any, value: Any) -> Any:
    """Converts a value to its setting's type if they are equivalent.

    Accepts NumPy numbers and arrays, and path objects.
    """
    several = kind in ITEM_TYPES
    if hasattr(value, "tolist") and getattr(value, "ndim", 9) <= several:
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if several:
        item = get_args(kind)[0]
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            return tuple(_convert(item, each) for each in value)
        value = _convert(item, value)
        is_item = isinstance(value, ITEM_TYPES[kind])
        return (value,) if is_item and not isinstance(value, bool) else value
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


FIELDS = {field.name: field for field in dataclasses.fields(Job)}


def _select(rule: str, by_role: Callable[[Role, str], bool]) -> frozenset[str]:
    """Lists the settings whose rule, or else whose role, says yes.

    Args:
        rule: Name of the rule, which a setting may have.
        by_role: (role, kind of path or "") -> the answer for a setting without
            that rule.
    """
    rules = {name: field.metadata for name, field in FIELDS.items()}
    return frozenset(
        name
        for name, its in rules.items()
        if its.get(rule, by_role(its["role"], its.get("path", "")))
    )


RECORDED = _select(
    "recorded", lambda role, path: role in (Role.PIXELS, Role.FILE) and not path
)
IDENTITY = _select(
    "identity", lambda role, path: role is Role.PIXELS and not path
)
KEYWORDS = _select(
    "keyword", lambda role, path: role in (Role.PIXELS, Role.RUN)
)
SWEPT = _select("swept", lambda role, path: role is Role.PIXELS)
RERUN_SETTINGS = _select(
    "rerun", lambda role, path: role is not Role.PIXELS or bool(path)
)
SHEET_SETTINGS = _select(
    "in_sheets", lambda role, path: role is not Role.PROGRAM
)
PROGRAM_SETTINGS = _select("", lambda role, path: role is Role.PROGRAM)
MASKS: frozenset[str] = _select("", lambda role, path: path == "mask")
STARTS: frozenset[str] = _select("", lambda role, path: path == "start")
PER_STYLE_SETTINGS = _select("of_styles", lambda role, path: False)


def list_absent_values() -> dict[str, Any]:
    """Returns the values that a record implies for its missing settings."""
    return {
        name: field.metadata.get("absent", field.default)
        for name, field in FIELDS.items()
        if name in RECORDED
    }


def list_later_defaults(decided: Mapping[str, Any]) -> set[str]:
    """Lists later settings with the only value that there was before them."""
    return {
        name
        for name, field in FIELDS.items()
        if "later" in field.metadata and decided[name] == field.default
    }


def is_keyword(name: str, value: str) -> bool:
    """Returns whether the value of a path setting is one of its keywords."""
    return value in FIELDS[name].metadata.get("keywords", ())


def suggest(name: str, names: Iterable[str], dashes: str = "") -> str:
    """Returns "; did you mean ...?" for an unknown setting, or nothing.

    Args:
        name: The unknown name, such as one from another program.
        names: The candidates to suggest.
        dashes: The prefix of flags, "--"; empty for keywords.
    """
    if name in ("threads", "num_threads", "workers"):
        return (
            "; TensorFlow uses all cores, or as many as the environment "
            "variable TF_NUM_INTRAOP_THREADS says"
        )
    known = set(names)
    for meant in sorted(known & FIELDS.keys()):
        if name in FIELDS[meant].metadata.get("synonyms", "").split():
            return f"; did you mean '{dashes}{meant}'?"
    return errors.did_you_mean(name, known).replace(" '", f" '{dashes}")


def repeat_for_styles(
    values: Sequence[Any], count: int, name: str
) -> tuple[Any, ...]:
    """Returns one value for each of `count` styles; repeats a single value.

    Raises:
        ValueError: If there are neither 1 nor `count` values.
    """
    if len(values) == 1:
        return tuple(values) * count
    if len(values) != count:
        raise ValueError(
            f"--{name} has {errors.format_count(len(values), 'value')}, but "
            f"{errors.format_presence(count, 'style')}; give one value for all "
            "styles, or one per style."
        )
    return tuple(values)


def split_choices(text: str) -> tuple[str, ...]:
    """Splits the value of a joined setting, such as "content,style"."""
    return tuple(choice.strip() for choice in text.split(","))


class Interval(NamedTuple):
    """An interval in steps or in seconds; the other field is 0."""

    steps: int
    seconds: float

    def is_over(self, steps: int, seconds: float) -> bool:
        """Returns whether the interval has passed."""
        return (0 < self.steps <= steps) or (0 < self.seconds <= seconds)


def parse_interval(text: str, name: str = "interval") -> Interval:
    """Parses "50" as steps and "60s" as seconds.

    Raises:
        ValueError: If the text is neither, or not above 0.
    """
    try:
        interval = (
            Interval(0, float(text[:-1]))
            if text.endswith("s")
            else Interval(int(text), 0.0)
        )
    except ValueError:
        interval = Interval(0, 0.0)
    if not 0 < max(interval) <= 1e9:
        raise ValueError(
            f"{name} is {text!r}, expected steps, such as 50, or seconds, such "
            f"as 60s."
        )
    return interval


def parse_layers(text: str, name: str = "layers") -> dict[str, float]:
    """Parses "block1_conv1:1,block2_conv1:0.8"; the default weight is 1.

    Args:
        text: Layers and their weights.
        name: Name of the text in an error.

    Returns:
        Layer -> weight, in the order given.

    Raises:
        ValueError: If a weight is not a number of at least 0, a layer is
            repeated, or all weights are 0.
    """
    layers: dict[str, float] = {}
    for part in text.split(","):
        layer, _, weight = part.strip().partition(":")
        try:
            value = float(weight or 1)
        except ValueError:
            value = math.nan
        if not (layer and 0 <= value <= 1e9):
            raise ValueError(
                f"{name} has {part.strip()!r}, expected name:weight with a "
                f"weight of at least 0 and at most 1e9."
            )
        if layer in layers:
            raise ValueError(f"{name} has {layer} twice; name each layer once.")
        layers[layer] = value
    if not sum(layers.values()):
        raise ValueError(
            f"{name} is {text!r}; give at least one layer a weight above 0."
        )
    return layers


def share_weight(layers: str, weight: float) -> dict[str, float]:
    """Divides a weight among layers in proportion to "name:weight,..."."""
    shares = parse_layers(layers)
    total = sum(shares.values())
    return {layer: weight * share / total for layer, share in shares.items()}


def format_flags(job: Job) -> list[str]:
    """Formats the settings of a job that differ from defaults, as flags.

    Addresses are shortened as by `urls.show_address`.
    """
    lines = []
    for name, field in FIELDS.items():
        value = getattr(job, name)
        if value == field.default:
            continue
        if field.type is bool:
            lines.append(f"--{'' if value else 'no'}{name}")
        elif field.type == tuple[str, ...]:
            lines += [f"--{name}={urls.show_source(each)}" for each in value]
        elif field.type in ITEM_TYPES:
            lines.append(f"--{name}={','.join(map(str, value))}")
        else:
            lines.append(f"--{name}={urls.show_source(str(value))}")
    return lines
