"""A request in plain data, and its execution: file to file, array to array.

`Job` is what the flags, a notebook and a batch have in common: every setting
is a field of it, once. No module below this one takes a `Job`. TensorFlow is
imported only when work starts, so that a wrong request is refused at once.
"""

import collections
import dataclasses
import functools
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf import architectures, device, image_io, pyramid
from nst_tf import weights as network_weights

if TYPE_CHECKING:
    from nst_tf import descent, targets

ImageLike = np.ndarray | str | os.PathLike[str]

LARGEST_SIZE = 65536  # pixels, a side; beyond it Pillow's formats end


def setting(default: Any, group: str, text: str, **rules: Any) -> Any:
    """Declares a field of `Job` with its help and its rules."""
    return dataclasses.field(
        default=default, metadata={"group": group, "help": text, **rules}
    )


@dataclasses.dataclass(frozen=True)
class Job:
    """One picture to make, in strings and numbers only.

    The fields are the flags of the program and the keywords of
    `nst_tf.stylize`; `python -m nst_tf.run --help` explains each.
    """

    content: str = setting(
        "", "Pictures", "Content image: what is to be seen.", path=True
    )
    style: tuple[str, ...] = setting(
        (),
        "Pictures",
        "Style image: how it is painted. Repeat it to blend several.",
        path=True,
    )
    output: str = setting(
        "",
        "Pictures",
        "Picture to write; its extension names the format. By default "
        "<content>-<style>.png in the working directory, numbered if that "
        "exists.",
    )
    overwrite: bool = setting(
        False, "Pictures", "Replace the output if it exists."
    )
    size: int = setting(
        512,
        "Pictures",
        "Long side of the output, in pixels; may enlarge the content.",
        low=1,
        high=LARGEST_SIZE,
    )
    preview_every: int = setting(
        0,
        "Pictures",
        "Write <output>.preview.png every so many steps; 0: never.",
        low=0,
    )
    dry_run: bool = setting(False, "Pictures", "Print the plan, and stop.")
    content_weight: float = setting(
        5.0, "What is minimized", "Weight of the content loss.", low=0
    )
    style_weight: float = setting(
        100.0, "What is minimized", "Weight of the style loss.", low=0
    )
    tv_weight: float = setting(
        0.0,
        "What is minimized",
        "Weight of the total variation: smooths the picture.",
        low=0,
    )
    content_layers: str = setting(
        "block4_conv2",
        "What is minimized",
        "Layers of the content loss, as name:weight,name:weight; shares of "
        "the content weight.",
    )
    style_layers: str = setting(
        "block1_conv1,block2_conv1,block3_conv1,block4_conv1,block5_conv1",
        "What is minimized",
        "Layers of the style loss, as name:weight,name:weight; shares of the "
        "style weight.",
    )
    steps: tuple[int, ...] = setting(
        (150, 120, 100, 80, 60),
        "How it is minimized",
        "Steps at each level, from the coarsest; the last number is repeated.",
        low=1,
    )
    levels: int = setting(
        0,
        "How it is minimized",
        "Levels from coarse to fine, at most; 0: as many as fit.",
        low=0,
    )
    min_size: int = setting(
        128,
        "How it is minimized",
        "Long side of the coarsest level; each next one is 1.41 times larger.",
        low=16,
        high=LARGEST_SIZE,
    )
    init: str = setting(
        "content",
        "How it is minimized",
        "Where to start: content, noise, style, gray, or a picture's path.",
        path=True,
        keywords=("content", "noise", "style", "gray"),
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
    )
    optimizer: str = setting(
        "adam", "How it is minimized", "Optimizer.", choices=("adam",)
    )
    learning_rate: float = setting(
        0.02,
        "How it is minimized",
        "Step size, in units of the range from black to white.",
        above=0,
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
        "Decay of the average of the iterates, which is the result; 0: off.",
        low=0,
        below=1,
    )
    extractor: str = setting(
        "vgg19",
        "The network",
        "Network that sees the pictures.",
        choices=tuple(architectures.NETWORKS),
    )
    weights: str = setting(
        "auto",
        "The network",
        "Network weights: auto, imagenet, or the path of an HDF5 file.",
        path=True,
        keywords=("auto", "imagenet"),
    )
    pooling: str = setting(
        "average",
        "The network",
        "Pooling of the network.",
        choices=("max", "average", "average_rescaled"),
    )
    padding: str = setting(
        "symmetric_first",
        "The network",
        "What a convolution sees beyond the border: zeros, or the mirrored "
        "map, at the first layer or at all.",
        choices=("zeros", "symmetric_first", "symmetric"),
    )
    precision: str = setting(
        "auto",
        "The network",
        "Type that the network computes in; auto: the fastest that is safe.",
        choices=device.PRECISIONS,
    )


class Inputs(NamedTuple):
    """What a job needs before any work starts, read and checked."""

    content: np.ndarray  # [H, W, 3] in [0, 1]
    styles: tuple[np.ndarray, ...]
    init: np.ndarray  # at the first level's size
    levels: list[pyramid.Level]
    network: network_weights.NetworkWeights


class Result(NamedTuple):
    """What came out of a job."""

    path: Path
    seconds: float
    terms: Mapping[str, float]  # the last step's losses, unweighted


def stylize(
    content: ImageLike, styles: ImageLike | Sequence[ImageLike], **settings: Any
) -> np.ndarray:
    """Paints a content image in the manner of style images.

    Args:
        content: Content image: a path, or an array, [H, W, 3], of uint8 or of
            floats in [0, 1], RGB.
        styles: One style image or several, likewise.
        **settings: Fields of `Job`, such as size=512 or style_weight=200.

    Returns:
        The generated image, [h, w, 3], float32 in [0, 1]; its long side is
        `size`.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016.
    """
    return _last(stylize_steps(content, styles, **settings)).image.numpy()[0]


def stylize_steps(
    content: ImageLike, styles: ImageLike | Sequence[ImageLike], **settings: Any
) -> "Iterator[descent.Step]":
    """Paints as `stylize` does, and yields each step as it is taken.

    Stop reading to stop the run. Each step has its level, its index, its
    losses and its image; nothing is copied from the device until it is read.

    Args:
        content: As in `stylize`.
        styles: As in `stylize`.
        **settings: As in `stylize`.

    Returns:
        An iterator of `descent.Step`; the last one's image is the result.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting.
    """
    for name in ("content", "style", "output", "overwrite", "preview_every"):
        if name in settings:
            raise TypeError(
                f"{name} is for the program, not a setting of stylize; pass "
                f"the images as the first two arguments, and save the result."
            )
    if isinstance(settings.get("steps"), int):
        settings["steps"] = (settings["steps"],)
    job = Job(**settings)
    many: Sequence[Any] = (
        styles if isinstance(styles, (list, tuple)) else [styles]
    )
    return job_steps(
        job,
        prepare(
            job,
            _as_image(content, "content"),
            [_as_image(style, "style") for style in many],
        ),
    )


def run_job(job: Job) -> Result:
    """Makes the picture of a job, from file to file.

    Raises:
        ValueError: If a file or a setting is not as it should be.
        OSError: If the output cannot be written.
    """
    start = time.monotonic()
    path, inputs = prepare_files(job)
    step = _last(job_steps(job, inputs))
    path = save_result(job, path, step.image.numpy()[0])
    terms = {
        name: float(value) for name, value in step.evaluation.terms.items()
    }
    return Result(path, time.monotonic() - start, terms)


def job_steps(job: Job, inputs: Inputs) -> "Iterator[descent.Step]":
    """Runs the method on prepared inputs; the work starts with the first."""
    from nst_tf import targets, transfer

    device.prepare()
    styles = [targets.Style(image) for image in inputs.styles]
    return transfer.stylize_steps(
        inputs.content,
        styles,
        levels=inputs.levels,
        init=inputs.init,
        **method_options(job, inputs.network),
    )


def method_options(
    job: Job, network: network_weights.NetworkWeights
) -> dict[str, Any]:
    """Maps a job to the keywords of `transfer.stylize_steps`."""
    from nst_tf import extractors, optimizers

    return {
        "weights": loss_weights(job),
        "make_extractor": functools.partial(
            extractors.vgg,
            job.extractor,
            network_weights=network.layers,
            pooling=job.pooling,
            padding=job.padding,
            dtype=device.resolve_precision(job.precision),
        ),
        "make_optimizer": functools.partial(
            optimizers.OPTIMIZERS[job.optimizer],
            learning_rate=job.learning_rate,
            beta_1=job.beta_1,
            beta_2=job.beta_2,
            epsilon=job.epsilon,
            average=job.average,
        ),
    }


def loss_weights(job: Job) -> "targets.LossWeights":
    """Shares the weights of a job among its layers."""
    from nst_tf import targets

    return targets.LossWeights(
        _shared(parse_layers(job.content_layers), job.content_weight),
        _shared(parse_layers(job.style_layers), job.style_weight),
        job.tv_weight,
    )


def prepare_files(
    job: Job, say: Callable[[str], None] = lambda line: None
) -> tuple[Path, Inputs]:
    """Checks a job of files, and reads all that it names.

    Args:
        job: The request.
        say: Is told, in a line, what takes time.

    Returns:
        Where the picture will be written, and what it is made from.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    check(job)
    if not job.content:
        raise ValueError("no content image; name one with --content=PICTURE.")
    if not job.style:
        raise ValueError("no style image; name one with --style=PICTURE.")
    content = image_io.load_image(job.content)
    styles = [image_io.load_image(path) for path in job.style]
    path = output_path(job)
    height, width = _output_size(job, content)
    _check_writable(path, height * width * 4)
    return path, prepare(job, content, styles, say)


def prepare(
    job: Job,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    say: Callable[[str], None] = lambda line: None,
) -> Inputs:
    """Checks a job and its images, and finds the network's weights.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    check(job)
    layers = [
        *parse_layers(job.content_layers),
        *parse_layers(job.style_layers),
    ]
    deepest = architectures.deepest(job.extractor, layers)
    _check_image(content, "content", deepest)
    for style in styles:
        _check_image(style, "style", deepest)
    height, width = _output_size(job, content)
    if min(height, width) < deepest.stride:
        raise ValueError(
            f"size is {job.size}, so that the output would be {width} x "
            f"{height} pixels, but {deepest.name} needs at least "
            f"{deepest.stride} x {deepest.stride}; raise the size."
        )
    levels = pyramid.levels(
        height,
        width,
        job.steps,
        min_size=job.min_size,
        max_levels=job.levels,
    )
    return Inputs(
        content,
        tuple(styles),
        _initial(job, content, styles, levels[0]),
        levels,
        network_weights.load(job.extractor, job.weights, say=say),
    )


def check(job: Job) -> None:
    """Checks every field that can be checked by itself.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    for field in dataclasses.fields(job):
        value = getattr(job, field.name)
        rules = field.metadata
        if "choices" in rules and value not in rules["choices"]:
            raise ValueError(
                f"unknown {field.name} {value!r}"
                f"{architectures.suggestion(value, rules['choices'])}; "
                f"expected {_either(rules['choices'])}."
            )
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, str):
                _check_number(field.name, number, rules)
    if not job.steps:
        raise ValueError("steps is empty, expected a number for each level.")
    for field_name in ("content_layers", "style_layers"):
        layers = parse_layers(getattr(job, field_name), field_name)
        architectures.check_layers(job.extractor, layers)
    if not job.content_weight and not job.style_weight:
        raise ValueError(
            "content_weight and style_weight are both 0; nothing would be "
            "painted. Raise one of them."
        )


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
        if not (0 <= value < math.inf):
            raise ValueError(
                f"{name} has {part.strip()!r}, expected name:weight with a "
                f"weight of at least 0."
            )
        if layer in layers:
            raise ValueError(f"{name} has {layer} twice.")
        layers[layer] = value
    if not sum(layers.values()):
        raise ValueError(f"{name} is {text!r}: no layer has a weight above 0.")
    return layers


def output_path(job: Job) -> Path:
    """Where the picture goes: as named, or <content>-<style>.png, numbered.

    Raises:
        ValueError: If that is no place for a picture, or one is there already.
    """
    if not job.output:
        stems = [Path(name).stem for name in (job.content, *job.style)]
        return free_path(Path("-".join(stems) + ".png"))
    path = Path(job.output).expanduser()
    if path.is_dir():
        raise ValueError(f"output {path} is a folder, expected a file's name.")
    if path.suffix.lower() not in image_io.EXTENSIONS:
        raise ValueError(
            f"output {path} has the extension {path.suffix!r}, expected "
            f"{_either(image_io.EXTENSIONS)}."
        )
    if path.exists():
        for name in (job.content, *job.style):
            if path.samefile(name):
                raise ValueError(
                    f"output {path} is one of the input pictures; name "
                    f"another file."
                )
        if not job.overwrite:
            raise ValueError(
                f"output {path} exists; name another file, or replace it with "
                f"--overwrite."
            )
    return path


def free_path(path: Path) -> Path:
    """Returns the path, or with -2, -3 ... the first that does not exist."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}-{number}")
    return candidate


def preview_path(path: Path) -> Path:
    """Where the previews of an output go."""
    return path.with_name(f"{path.stem}.preview.png")


def save_result(job: Job, path: Path, image: np.ndarray) -> Path:
    """Writes the picture; a file that has appeared meanwhile is kept.

    Returns:
        Where it was written.

    Raises:
        OSError: If it cannot be written.
    """
    if not job.overwrite:
        path = free_path(path)
    image_io.save_image(path, image)
    return path


def _last(steps: "Iterator[descent.Step]") -> "descent.Step":
    """Reads to the last step; there is always one."""
    return collections.deque(steps, maxlen=1).pop()


def _as_image(image: ImageLike, name: str) -> np.ndarray:
    """Reads a path, or checks an array."""
    if isinstance(image, (str, os.PathLike)):
        return image_io.load_image(image)
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(
            f"{name} image has shape {array.shape}, expected (height, width, "
            f"3), RGB."
        )
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255.0
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"{name} image has type {array.dtype}, expected uint8 or floats in "
            f"[0, 1]."
        )
    if not (array.size and array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"{name} image has values outside [0, 1]; divide those of 0..255 "
            f"by 255."
        )
    return array.astype(np.float32)


def _output_size(job: Job, content: np.ndarray) -> tuple[int, int]:
    """The (height, width) of the picture."""
    rows, columns = content.shape[:2]
    return pyramid.output_size(rows, columns, job.size)


def _check_image(
    image: np.ndarray, name: str, deepest: architectures.Convolution
) -> None:
    """Raises ValueError if an image is too small for the network."""
    height, width = image.shape[:2]
    if min(height, width) < deepest.stride:
        raise ValueError(
            f"{name} image is {width} x {height} pixels, but {deepest.name} "
            f"needs at least {deepest.stride} x {deepest.stride}; pass a "
            f"larger image."
        )
    if max(height, width) > 32 * min(height, width):
        raise ValueError(
            f"{name} image is {width} x {height} pixels, longer than 32 times "
            f"its width; cut it."
        )


def _check_number(name: str, value: float, rules: Mapping[str, Any]) -> None:
    """Raises ValueError if a number breaks the rules of its field."""
    words = []
    fine = math.isfinite(value)
    if "low" in rules:
        fine &= value >= rules["low"]
        words.append(f"at least {rules['low']}")
    if "above" in rules:
        fine &= value > rules["above"]
        words.append(f"above {rules['above']}")
    if "high" in rules:
        fine &= value <= rules["high"]
        words.append(f"at most {rules['high']}")
    if "below" in rules:
        fine &= value < rules["below"]
        words.append(f"below {rules['below']}")
    if not fine:
        raise ValueError(f"{name} is {value}, expected {' and '.join(words)}.")


def _check_writable(path: Path, size: int) -> None:
    """Raises ValueError unless a file of so many bytes can be written."""
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"output folder {folder} does not exist; make it.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"output folder {folder} cannot be written to: {error.strerror}."
        ) from error
    free = shutil.disk_usage(folder).free
    if free < size:
        raise ValueError(
            f"output folder {folder} has {free / 1e6:.1f} MB free, but the "
            f"picture may need {size / 1e6:.1f} MB."
        )


def _initial(
    job: Job,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    level: pyramid.Level,
) -> np.ndarray:
    """Makes the image to start from, at the first level's size."""
    size = level.height, level.width
    noise = np.random.default_rng(job.seed).uniform(size=(*size, 3))
    starts: dict[str, Callable[[], np.ndarray]] = {
        "content": lambda: image_io.resize(content, *size),
        "style": lambda: image_io.cover(styles[0], *size),
        "gray": lambda: np.full_like(noise, 0.5),
        "noise": lambda: noise,
    }
    load = starts.get(
        job.init, lambda: image_io.cover(image_io.load_image(job.init), *size)
    )
    mixed = (1 - job.init_noise) * load() + job.init_noise * noise
    return mixed.astype(np.float32)


def _shared(layers: Mapping[str, float], weight: float) -> dict[str, float]:
    """Shares a weight among layers, in proportion to theirs."""
    total = sum(layers.values())
    return {layer: weight * share / total for layer, share in layers.items()}


def _either(words: Sequence[str]) -> str:
    """Writes 'a, b or c'."""
    return " or ".join([", ".join(words[:-1]), words[-1]]).removeprefix(" or ")
