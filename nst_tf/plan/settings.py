"""The table of all settings: `Job`, one picture to make, in plain data.

A setting is a field of `Job`: its default, help, limits and role. Its flag, its
keyword of `stylize`, its place in the record of a picture and in a checkpoint,
and its line in the documentation follow from that. What a role means:

    role      recorded   identity   keyword   swept   beside --rerun
    PIXELS    yes        yes        yes       yes     no
    FILE      yes        no         no        no      yes
    RUN       no         no         yes       no      yes
    PROGRAM   no         no         no        no      yes

A path is no setting of its own: the record names the picture, its digest is
part of the identity, and --rerun may be told where it is now. A field says
where it departs from its role.
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

from nst_tf import errors, screens, web
from nst_tf.backend import device
from nst_tf.losses import conventions, style_kinds
from nst_tf.network import architectures
from nst_tf.plan import optimizers

T = TypeVar("T")
LARGEST_SIZE = 65536  # pixels, a side; beyond it Pillow's formats end


class Role(enum.Enum):
    """What a setting is about; the table is at the top of this module."""

    PIXELS = enum.auto()  # it changes the picture
    FILE = enum.auto()  # it changes how the picture is written
    RUN = enum.auto()  # it changes how the picture is computed
    PROGRAM = enum.auto()  # it is about what the program does besides


def setting(
    default: Any,
    group: str,
    text: str,
    role: Role = Role.PIXELS,
    **rules: Any,
) -> Any:
    """Declares a field of `Job`.

    Args:
        default: Its value where nothing is said.
        group: Heading in --help and in the documentation.
        text: Its help.
        role: What it is about.
        **rules: Limits of a number (low, high, above, below); choices; path
            ("picture", "mask", "start" or "weights") with keywords that are no
            paths; examples of its values; writes, if it names a file or folder
            to write; of_styles, if the i-th value is the i-th style's; absent,
            what a record without it means, if that is not the default: the
            default of before, or off;
            short, the letter of its flag; synonyms, what other programs call
            it; and where it departs from its role (recorded, identity, keyword,
            swept, rerun, in_sheets). Choices may be a table, whose later
            entries count too.
    """
    return dataclasses.field(
        default=default,
        metadata={"group": group, "help": text, "role": role, **rules},
    )


_STYLE_LOSSES = [
    f"{k.words} ({name})" for name, k in style_kinds.STYLE_LOSSES.items()
]
# What is one of the several values of a field.
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
        function: Name of what they are passed to.
        names: The names.
        known: Those that it takes.

    Raises:
        TypeError: If one is unknown: with the nearest name that is known.
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
    """Decorates a class of settings: a misspelled one gets a suggestion."""
    take = job.__init__

    @functools.wraps(take)
    def initialize(self: T, *args: Any, **chosen: Any) -> None:
        check_names("Job", chosen, FIELDS)
        take(self, *args, **chosen)

    job.__init__ = initialize  # type: ignore[assignment]
    return job


@_suggest
@dataclasses.dataclass(frozen=True)
class Job:
    """One picture to make, in strings and numbers only.

    The fields are the flags of the program and the keywords of
    `nst_tf.stylize`; `python -m nst_tf.run --help` explains each.
    """

    content: str = setting(
        "",
        "Pictures",
        "Content image: what is to be seen.",
        path="picture",
        keyword=False,
        synonyms="content_image content_img content_path image input photo",
    )
    style: tuple[str, ...] = setting(
        (),
        "Pictures",
        "Style image: how it is painted; or a folder of them, which count as "
        "one. Repeat it for several: the i-th style_scale and style_layers are "
        "then the i-th style's, or one is for all.",
        path="picture",
        keyword=False,
        synonyms="painting style_image style_images style_img style_path",
    )
    output: str = setting(
        "",
        "Pictures",
        "Picture to write; its extension names the format. By default "
        "<content>-<style>.png in the working directory, numbered if that "
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
        "Long side of the output, in pixels; may enlarge the content.",
        low=1,
        high=LARGEST_SIZE,
        short="s",
        synonyms="height image_size img_size imsize max_size resolution width",
    )
    print_size: str = setting(
        "",
        "Pictures",
        "Size on paper that the output fits into, either way round, such as "
        "30x40cm, 300x400mm or 12x16in; its long side, such as 40cm; or A2, "
        "A3, A4, A5, letter, legal or tabloid. In place of size.",
        examples=("A2", "A3", "A4", "A5", "letter", "legal", "tabloid"),
        swept=False,
    )
    dpi: float = setting(
        0.0,
        "Pictures",
        "Pixels an inch: those of print_size, and what the output's file says; "
        "0: 300 with a print_size, and else as the content image's file says.",
        low=0,
        high=1e4,
        role=Role.FILE,
    )
    preview_every: int = setting(
        0,
        "Pictures",
        "Write <output>.preview.png every so many steps; 0: never.",
        low=0,
        role=Role.PROGRAM,
    )
    dry_run: bool = setting(
        False,
        "Pictures",
        "Print the plan, and stop. Nothing is downloaded.",
        role=Role.PROGRAM,
        in_sheets=True,
        synonyms="plan simulate",
    )
    progress: str = setting(
        "auto",
        "What is shown",
        "How far it is, on standard error: auto, a bar on a terminal, and "
        "elsewhere a line every 10 seconds (plain); json, a JSON object a "
        "line, for other programs; none.",
        choices=screens.MODES,
        role=Role.PROGRAM,
        in_sheets=True,
    )
    quiet: bool = setting(
        False,
        "What is shown",
        "Print errors, warnings and the picture's path only.",
        role=Role.PROGRAM,
        in_sheets=True,
        short="q",
    )
    verbose: bool = setting(
        False,
        "What is shown",
        "Print the whole plan, and in the end the losses by layer.",
        role=Role.PROGRAM,
        in_sheets=True,
        short="v",
    )
    sheet: bool = setting(
        False,
        "Contact sheets",
        "Paint a sheet of small pictures instead, quickly: one for each value "
        "of --sweep, with its flags under it.",
        role=Role.PROGRAM,
        in_sheets=True,
    )
    sweep: tuple[str, ...] = setting(
        (),
        "Contact sheets",
        "A flag and the values that a sheet shows, such as "
        "strength:0.2,0.5,0.8, or with commas in them "
        "style_blend:1,0;0.5,0.5. Twice: every value of one with every value "
        "of the other. Without it: strength and style_scale.",
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
        "Write scores under each picture of a sheet: distances of style and "
        "content, and SSIM, as python -m nst_tf.judge has them, by the network "
        "of --weights.",
        role=Role.PROGRAM,
        in_sheets=True,
    )
    bit_depth: int = setting(
        8,
        "Files",
        "Bits a channel of the output, 8 or 16; .png and .tif hold 16.",
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
        "Keep the place where the content image was taken; who made it, when, "
        "and with what, is always kept.",
        role=Role.FILE,
        recorded=False,
    )
    mark: bool = setting(
        True,
        "Files",
        "Say in the output that it is generated, as IPTC's DigitalSourceType "
        "(compositeWithTrainedAlgorithmicMedia).",
        role=Role.FILE,
        recorded=False,
    )
    record_paths: bool = setting(
        False,
        "Files",
        "Record the paths of the pictures and weights in the output, not only "
        "their names.",
        role=Role.FILE,
        recorded=False,
    )
    rerun: str = setting(
        "",
        "Files",
        "Picture made by this program, to be made again: as it was decided "
        "then. --content and --style say where the pictures are now.",
        role=Role.PROGRAM,
        path="picture",
    )
    log: str = setting(
        "",
        "Files",
        "File to log the run to, in lines of JSON: a header, each step with "
        "its losses by layer, time and memory, and how it ended (docs/log.md). "
        "The same job, killed, goes on in it.",
        role=Role.PROGRAM,
    )
    log_every: int = setting(
        1,
        "Files",
        "Steps from one line of the log to the next.",
        low=1,
        role=Role.PROGRAM,
        writes=True,
    )
    summary_dir: str = setting(
        "",
        "Files",
        "Folder for TensorBoard, one for each run: losses by layer, pictures, "
        "steps a second, flags. Needs nst-tf[tensorboard].",
        role=Role.PROGRAM,
        writes=True,
    )
    timelapse: str = setting(
        "",
        "Files",
        "Film of the picture as it grows, to write: a .gif or .webp file, or "
        ".mp4, which needs nst-tf[video]; numbered if that exists, unless "
        "--overwrite. About 100 frames, of at most 512 pixels.",
        role=Role.PROGRAM,
        writes=True,
        synonyms="animation film gif video",
    )
    max_megapixels: float = setting(
        200.0,
        "Files",
        "Largest picture that is read, in millions of pixels.",
        above=0,
        high=1e5,
        role=Role.RUN,
    )
    strength: float = setting(
        -1.0,
        "What is minimized",
        "From 0, the photograph, to 1, the painting: sets content_weight, "
        "style_weight and tv_weight in your place, below 0.9 raises min_size, "
        "and below 0.4 takes shorter steps; below 0: they are as you set "
        "them.",
        low=-1,
        high=1,
    )
    content_weight: float = setting(
        25.0,
        "What is minimized",
        "Weight of the content loss.",
        low=0,
        high=1e12,
        absent=5.0,
        synonyms="alpha content_loss_weight",
    )
    style_weight: float = setting(
        100.0,
        "What is minimized",
        "Weight of the style loss.",
        low=0,
        high=1e12,
        synonyms="beta style_loss_weight",
    )
    neighbors_weight: float = setting(
        0.5,
        "What is minimized",
        "Mix: weight of the loss of nearest neighbors, over style_weight.",
        low=0,
        high=1e12,
    )
    grain_weight: float = setting(
        -1.0,
        "What is minimized",
        "Weight of the loss of grain, over style_weight: no more of the finest "
        "detail, in each color, than the style has. Below 0: 0.05, or with the "
        "convention of a source 0.",
        low=-1,
        high=1e12,
        absent=0.0,
    )
    tv_weight: float = setting(
        50.0,
        "What is minimized",
        "Weight of the total variation: smooths the picture.",
        low=0,
        high=1e12,
        synonyms="smoothness total_variation total_variation_weight tv tv_loss",
    )
    convention: str = setting(
        "relative",
        "What is minimized",
        "What losses are divided by: their targets, or as a source does it, so "
        "that weights are the source's.",
        choices=tuple(conventions.CONVENTIONS),
    )
    style_loss: str = setting(
        "auto",
        "What is minimized",
        "What of style is compared: "
        f"{', '.join(_STYLE_LOSSES[:-1])}, or {_STYLE_LOSSES[-1]}. auto: mix, "
        "or what the source of the convention compares.",
        choices=collections.ChainMap[str, Any](
            style_kinds.STYLE_LOSSES,  # type: ignore[arg-type]
            {"auto": None},
        ),
        absent="gram",
    )
    style_fit: str = setting(
        "keep",
        "What is minimized",
        "How a style image is resized: to as many pixels as the output, its "
        "shape kept; to its long side, likewise; stretched to its size; or "
        "cropped to it.",
        choices=("keep", "side", "stretch", "crop"),
    )
    style_blend: tuple[float, ...] = setting(
        (),
        "What is minimized",
        "Shares of several styles, such as 0.7,0.3; by default all alike.",
        low=0,
        high=1e9,
        repeated=True,
        of_styles=True,
    )
    style_scale: tuple[float, ...] = setting(
        (1.0,),
        "What is minimized",
        "Size of the strokes: the sides of a style image, as it is resized at "
        "each level, are multiplied by this.",
        low=0.1,
        high=4,
        repeated=True,
        of_styles=True,
    )
    style_size: tuple[int, ...] = setting(
        (),
        "What is minimized",
        "Long side of a style image, in pixels, beside the finished output; in "
        "place of style_scale.",
        low=16,
        high=LARGEST_SIZE,
        repeated=True,
        of_styles=True,
    )
    color: str = setting(
        "style",
        "What is minimized",
        "Whose colors: those of the style; the content's, under the lightness "
        "of what is painted (content), or where only lightness is painted "
        "(luminance); or the style's, brought to the content's mean and "
        "covariance (match), or to its histograms (histogram).",
        choices=("style", "content", "luminance", "match", "histogram"),
        synonyms="colors colour keep_colors original_colors preserve_color",
    )
    content_layers: str = setting(
        "block4_conv2",
        "What is minimized",
        "Layers of the content loss, as name:weight,name:weight; shares of "
        "the content weight.",
    )
    style_layers: tuple[str, ...] = setting(
        (),
        "What is minimized",
        "Layers of the style loss, as name:weight,name:weight; shares of the "
        "style weight. Fine strokes and colors are in the first, what they "
        f"make up in the last. By default {style_kinds.LAYERS}; of neighbors "
        f"{style_kinds.NEIGHBORS_LAYERS}.",
        of_styles=True,
        absent=(style_kinds.LAYERS,),
    )
    neighbors_layers: str = setting(
        style_kinds.NEIGHBORS_LAYERS,
        "What is minimized",
        "Mix: layers of the loss of nearest neighbors, likewise.",
    )
    content_mask: str = setting(
        "",
        "Where",
        "Picture of the content's shape that says which style goes where: "
        "gray, one style in white, another or none in black; or a color for "
        "each region. Styles go from its lightest region to its darkest.",
        path="mask",
    )
    style_mask: tuple[str, ...] = setting(
        (),
        "Where",
        "Picture of a style's shape, with the colors of content_mask: a region "
        "is painted as those of its color are. Repeat it for several styles.",
        path="mask",
    )
    strength_map: str = setting(
        "",
        "Where",
        "Gray picture of the content's shape: how strongly each place is "
        "painted, from black, the photograph, to white.",
        path="mask",
    )
    keep_mask: str = setting(
        "",
        "Where",
        "Gray picture of the content's shape: what is white stays as it is.",
        path="mask",
    )
    steps: tuple[int, ...] = setting(
        (),
        "How it is minimized",
        "Steps at each level, from the coarsest; the last number is repeated. "
        "Empty: 50,50,40,50, or of adam 100,80,50.",
        low=1,
        high=10**6,
        identity=False,  # levels stand for it
        synonyms="epochs iter iterations iters max_iter num_iterations "
        "num_steps",
    )
    max_seconds: float = setting(
        0.0,
        "How it is minimized",
        "Seconds that the run may take, in all: there are fewer steps, at all "
        "levels, if need be; 0: no limit.",
        low=0,
        identity=False,  # a run that goes on may take longer
    )
    tolerance: float = setting(
        0.0,
        "How it is minimized",
        "A level ends when a step changes the picture less than this: root "
        "mean square, of the range from black to white; 0: never.",
        low=0,
        below=1,
    )
    levels: int = setting(
        0,
        "How it is minimized",
        "Levels from coarse to fine, at most; 0: as many as fit.",
        low=0,
        identity=False,
    )
    min_size: int = setting(
        128,
        "How it is minimized",
        "Long side of the coarsest level.",
        low=16,
        high=LARGEST_SIZE,
        identity=False,
    )
    growth: float = setting(
        2.0,
        "How it is minimized",
        "Long side of a level over that of the one before, about.",
        low=1.1,
        high=16,
        identity=False,
    )
    init: str = setting(
        "content",
        "How it is minimized",
        "Where to start: content, noise, style, gray, mean (the mean color of "
        "the pictures that the network was trained on), or a picture's path.",
        keywords=("content", "noise", "style", "gray", "mean"),
        path="start",
        recorded=True,  # it may be a keyword
        synonyms="init_image initialization start",
    )
    continue_from: str = setting(
        "",
        "How it is minimized",
        "Picture of a smaller run of the same content, such as a preview: the "
        "levels above its size go on from it, instead of from init.",
        path="start",
        in_sheets=False,
        swept=False,
    )
    init_noise: float = setting(
        0.0,
        "How it is minimized",
        "Share of noise mixed into the start, from 0 to 1.",
        low=0,
        high=1,
    )
    seed: int = setting(
        0,
        "How it is minimized",
        "Seed of the noise; the same seed gives the same picture.",
        low=0,
        high=2**32 - 1,
        synonyms="random_seed rng",
    )
    optimizer: str = setting(
        "auto",
        "How it is minimized",
        "Optimizer; lbfgs reaches lower losses, and needs more memory. auto: "
        "lbfgs up to 512 pixels, and adam above, or where a setting of adam's "
        "is given.",
        choices=collections.ChainMap[str, Any](
            optimizers.OPTIMIZERS,
            {"auto": None},  # listed from the last on
        ),
    )
    learning_rate: float = setting(
        0.02,
        "How it is minimized",
        "Step size, in units of the range from black to white; for lbfgs that "
        "of the first step.",
        above=0,
        high=1e6,
        synonyms="lr step_size",
    )
    beta_1: float = setting(
        0.9,
        "How it is minimized",
        "Adam: decay of the mean gradient.",
        low=0,
        below=1,
    )
    beta_2: float = setting(
        0.99,
        "How it is minimized",
        "Adam: decay of the mean squared gradient.",
        low=0,
        below=1,
    )
    epsilon: float = setting(
        1e-8,
        "How it is minimized",
        "Adam: added to the root of the mean squared gradient.",
        above=0,
    )
    average: float = setting(
        0.95,
        "How it is minimized",
        "Adam, SGD: decay of the average of the iterates, which is the result; "
        "0: off.",
        low=0,
        below=1,
    )
    decay_rate: float = setting(
        1.0,
        "How it is minimized",
        "Adam, SGD: factor of the learning rate in decay_steps steps.",
        low=1e-6,
        high=1,
    )
    decay_steps: int = setting(
        100,
        "How it is minimized",
        "Adam, SGD: steps in which the learning rate falls by decay_rate.",
        low=1,
        high=10**6,
    )
    bounds: str = setting(
        "box",
        "How it is minimized",
        "box: clipped to black and white after each step; none: only when it "
        "is saved.",
        choices=("box", "none"),
    )
    history: int = setting(
        10,
        "How it is minimized",
        "L-BFGS: changes of the image that are kept.",
        low=1,
        high=1000,
    )
    extractor: str = setting(
        "vgg19",
        "The network",
        "Network that sees the pictures.",
        choices=architectures.NETWORKS,
        synonyms="arch backbone model net network",
    )
    weights: str = setting(
        "auto",
        "The network",
        "Network weights: auto, the VGG19 that ships; small, a narrow one that "
        "ships, for previews; imagenet, Keras's file, which is downloaded; or "
        "the path of an HDF5 file.",
        keywords=("auto", "imagenet", "small"),
        path="weights",
    )
    pooling: str = setting(
        "average",
        "The network",
        "Pooling of the network.",
        choices=architectures.POOLINGS,
    )
    padding: str = setting(
        "symmetric_first",
        "The network",
        "What a convolution sees beyond the border: zeros, or the mirrored "
        "map, at the first layer or at all.",
        choices=architectures.PADDINGS,
    )
    precision: str = setting(
        "auto",
        "The network",
        "Type that the network computes in; auto: the fastest that is safe.",
        choices=device.PRECISIONS,
        identity=False,  # what it comes to stands for it
        synonyms="amp dtype fp16 half",
    )
    convolution: str = setting(
        "auto",
        "The network",
        "How convolutions are computed: direct; or winograd, with fewer "
        "multiplications, in float32 and between 128 channels and more; auto: "
        "winograd where it is fast, on a CPU that computes in float32.",
        choices=("auto", *architectures.CONVOLUTIONS),
        identity=False,  # what it comes to stands for it
    )
    memory: float = setting(
        0.0,
        "Memory",
        "GB that the run may take, in all; larger pictures are worked on in "
        "tiles, to the same result. 0: what is free, less a reserve.",
        low=0,
        high=1e6,
        role=Role.RUN,
        synonyms="max_memory ram",
    )
    tile: int = setting(
        0,
        "Memory",
        "Side of a square of as many pixels as a tile has at most, for a "
        "picture of more pixels; 0: as large as memory allows.",
        low=0,
        high=LARGEST_SIZE,
        identity=False,  # tiles only round otherwise
    )
    content_target: str = setting(
        "auto",
        "Memory",
        "What the content is compared with, for a picture in tiles: its "
        "features are kept (keep), or seen anew in each tile, which takes less "
        "memory and more time (recompute); auto: as memory asks for it.",
        choices=("auto", "keep", "recompute"),
        identity=False,
    )
    device: str = setting(
        "auto",
        "Devices",
        "What computes: auto, a GPU if there is one; cpu; gpu, the first one; "
        "or gpu:1, the second, and so on. In Python the first picture decides "
        "for all of the process.",
        role=Role.RUN,
        examples=("auto", "cpu", "gpu", "gpu:1"),
        synonyms="cpu cuda gpu gpu_id",
    )
    devices: int = setting(
        1,
        "Devices",
        "How many GPUs work on the picture, each on tiles of its own; 0: all. "
        "TF_CONFIG, as TensorFlow reads it, adds other machines.",
        low=0,
        role=Role.RUN,
        synonyms="gpus num_gpus",
    )
    checkpoint_dir: str = setting(
        "",
        "Checkpoints",
        "Folder of checkpoints, from which a killed run goes on; empty: none.",
        role=Role.RUN,
        rerun=False,
        in_sheets=False,
        writes=True,
    )
    checkpoint_every: str = setting(
        "60s",
        "Checkpoints",
        "How often: in steps, such as 50, or in seconds, such as 60s.",
        role=Role.RUN,
        rerun=False,
    )
    resume: str = setting(
        "auto",
        "Checkpoints",
        "auto: go on from a checkpoint of the same job, if there is one; "
        "never; require: fail if there is none.",
        choices=("auto", "never", "require"),
        role=Role.RUN,
        rerun=False,
    )

    def __post_init__(self) -> None:
        """Takes what means the same: 100 or [100] for (100,), 64.0 for 64."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, _convert(field.type, value))


def _convert(kind: Any, value: Any) -> Any:
    """Converts a value to its setting's type, if it means the same.

    Numbers and lists of numbers may be NumPy's, and paths be objects.
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
    """Lists the settings for which a rule says yes, or else their role does.

    Args:
        rule: Name of the rule, which a setting may have.
        by_role: (role, kind of path, empty if it is none) -> the answer for a
            setting that does not have it.
    """
    rules = {name: field.metadata for name, field in FIELDS.items()}
    return frozenset(
        name
        for name, its in rules.items()
        if its.get(rule, by_role(its["role"], its.get("path", "")))
    )


RECORDED = _select(
    "recorded",
    lambda role, path: role in (Role.PIXELS, Role.FILE) and not path,
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
    """Lists what a record means that does not have a recorded setting."""
    return {
        name: field.metadata.get("absent", field.default)
        for name, field in FIELDS.items()
        if name in RECORDED
    }


def is_keyword(name: str, value: str) -> bool:
    """Returns whether a field holds a word with a meaning, and no path."""
    return value in FIELDS[name].metadata.get("keywords", ())


def suggest(name: str, names: Iterable[str]) -> str:
    """Returns "; did you mean ...?" for an unknown setting, or nothing.

    Args:
        name: What there is no setting of; other programs may have it.
        names: What could have been meant.
    """
    if name in ("threads", "num_threads", "workers"):
        return (
            "; TensorFlow takes all cores, or as many as the environment's "
            "TF_NUM_INTRAOP_THREADS says"
        )
    known = set(names)
    for meant in sorted(known & FIELDS.keys()):
        if name in FIELDS[meant].metadata.get("synonyms", "").split():
            return f"; did you mean {meant!r}?"
    return errors.did_you_mean(name, known)


def repeat_for_styles(
    values: Sequence[Any], count: int, name: str
) -> tuple[Any, ...]:
    """Gives each of so many styles its value; one value serves all.

    Raises:
        ValueError: If there is another number of them.
    """
    if len(values) == 1:
        return tuple(values) * count
    if len(values) != count:
        raise ValueError(
            f"{name} is given {len(values)} times, but "
            f"{errors.format_presence(count, 'style')}; give it once for all, "
            f"or once for each."
        )
    return tuple(values)


class Interval(NamedTuple):
    """How often something is done; one of the two is 0."""

    steps: int
    seconds: float

    def is_over(self, steps: int, seconds: float) -> bool:
        """Returns whether so many steps, or seconds, are enough."""
        return (0 < self.steps <= steps) or (0 < self.seconds <= seconds)


def parse_interval(text: str, name: str = "interval") -> Interval:
    """Reads "50", steps, or "60s", seconds.

    Raises:
        ValueError: If it is neither, or not above 0.
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
    """Reads "block1_conv1:1,block2_conv1:0.8"; a weight left out is 1.

    Args:
        text: Layers and their weights.
        name: What to call the text in an error.

    Returns:
        Layer -> weight, in the order given.

    Raises:
        ValueError: If a weight is not a number of at least 0, a layer is named
            twice, or none has a weight.
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
            raise ValueError(f"{name} has {layer} twice.")
        layers[layer] = value
    if not sum(layers.values()):
        raise ValueError(f"{name} is {text!r}: no layer has a weight above 0.")
    return layers


def share_weight(layers: str, weight: float) -> dict[str, float]:
    """Shares a weight among layers, "name:weight,...", in proportion."""
    shares = parse_layers(layers)
    total = sum(shares.values())
    return {layer: weight * share / total for layer, share in shares.items()}


def format_flags(job: Job) -> list[str]:
    """Writes a job as flags: those that are not as they are by default.

    Addresses are written as `web.show_address` does.
    """
    lines = []
    for name, field in FIELDS.items():
        value = getattr(job, name)
        if value == field.default:
            continue
        if field.type is bool:
            lines.append(f"--{'' if value else 'no'}{name}")
        elif field.type == tuple[str, ...]:
            lines += [f"--{name}={web.show_source(each)}" for each in value]
        elif field.type in ITEM_TYPES:
            lines.append(f"--{name}={','.join(map(str, value))}")
        else:
            lines.append(f"--{name}={web.show_source(str(value))}")
    return lines
