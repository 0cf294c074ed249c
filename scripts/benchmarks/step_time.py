"""Times one step of Adam on VGG19, on the CPU, compared with plain PyTorch.

    python scripts/benchmarks/step_time.py --sizes=256,512,1024

The step is the same on all sides: features to block5_conv1, with the padding
and pooling that are the product's defaults, Gram losses, content loss, gradient
of the image, Adam, clipping; ours averages the iterates besides. The
contestants step in turn, so that what else the machine does meets all of them
alike, and a ratio is formed within each round: PyTorch's time / ours, above 1
where ours is faster. Peak memory is that of a fresh process for each contestant
and size, in all and above what its imports take.

The floor of a precision is what its convolutions and their gradients take with
nothing between them, in one compiled function of TensorFlow, by its direct
convolutions; a step takes more by the ratio `over_floor`, or less, where ours
are Winograd's.

PyTorch is optional: in float32, as the tools of the field have it, and all in
bfloat16 with channels last; so is Matplotlib, for the plot. The weights do not
change the time, so that random ones serve where VGG19's are not at hand. Let
nothing else run: PyTorch's threads wait for each other in a busy loop and lose
far more to another program than TensorFlow's do. What others took is reported.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import harness

if TYPE_CHECKING:
    import numpy as np
    import torch

PRECISIONS = ("float32", "bfloat16", "float16")
CONTENT_LAYERS = {"block4_conv2": 1.0}
STYLE_LAYERS = {f"block{block}_conv1": 0.2 for block in range(1, 6)}
LEARNING_RATE, BETAS = 0.02, (0.9, 0.99)
MEAN_COLOR = (123.68, 116.779, 103.939)  # as extractors, without TensorFlow
LOSS_TOLERANCE, LEAST_COSINE = 1e-3, 0.999  # of float32 against PyTorch
PADDING = "symmetric_first"  # the product's default
TORCHES = {"torch": "float32", "torch_bfloat16": "bfloat16"}
LABELS = {
    "torch": "PyTorch float32",
    "torch_bfloat16": "PyTorch bfloat16",
    "float32": "nst_tf float32",
    "bfloat16": "nst_tf bfloat16",
}

# -> each loss's distance by name, and the gradient, [H, W, 3], before the
# update, both as the library has them.
Step = Callable[[], tuple[Mapping[str, Any], Any]]


class Problem(NamedTuple):
    """What every contestant is given."""

    content: np.ndarray  # the three images are [H, W, 3] in [0, 1]
    style: np.ndarray
    init: np.ndarray
    network_weights: Mapping[str, tuple[np.ndarray, np.ndarray]]
    pooling: str


def main(arguments: Sequence[str]) -> int:
    """Runs the benchmark; 1 if both sides differ or an input is wrong."""
    flags = _parse(arguments)
    harness.hide_gpus()
    if flags.peak_of:
        print(json.dumps(_own_peak(flags.peak_of, flags)))
        return 0
    floors = [f"floor_{precision}" for precision in flags.precisions]
    names = [*flags.precisions, *floors]
    if importlib.util.find_spec("torch"):
        names = [*_list_torches(flags.precisions), *names]
    else:
        print("PyTorch is not installed: only ours is measured.")
    # A process inherits the peak of the one that starts it, so that these
    # start before this one has loaded anything.
    sizes = flags.sizes if flags.peak else []
    peaks = {(s, name): _peak(name, s, flags) for s in sizes for name in names}
    try:
        network_weights, kind = find_weights(flags.weights)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    agreed, records = True, []
    for size in flags.sizes:
        problem = make_problem(size, network_weights, flags.pooling)
        measured = _measure(names, problem, flags.repeats)
        for name, row in measured["contestants"].items():
            row |= peaks.get((size, name), {})
        record = {
            **harness.describe_machine(),
            "isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "all"),
            "size": [size, problem.init.shape[0]],
            "pooling": flags.pooling,
            "padding": PADDING,
            "weights": kind,
            "repeats": flags.repeats,
            **measured,
        }
        print(_table(record), flush=True)
        harness.append(flags.json, record)
        records.append(record)
        agreed &= measured["agreed"] is not False
    if importlib.util.find_spec("matplotlib"):
        _plot(records, flags.json.with_suffix(".svg"))
    else:
        print("Matplotlib is not installed: there is no plot.")
    return 0 if agreed else 1


def _list_torches(precisions: Sequence[str]) -> list[str]:
    """Lists PyTorch's contestants; a step in emulated bfloat16 takes 30 s."""
    from nst_tf.backend import device

    slow = {
        precision
        for precision in precisions
        if device.describe_emulation(precision)
    }
    wanted = {"float32", *precisions} - slow
    return [name for name, dtype in TORCHES.items() if dtype in wanted]


def make_step(name: str, problem: Problem) -> Step:
    """Makes the step of a contestant: of `TORCHES`, a floor, or ours."""
    if name in TORCHES:
        return PlainTorch(problem, TORCHES[name]).step
    if name.startswith("floor_"):
        return floor(name.removeprefix("floor_"), problem)
    return ours(name, problem)


def ours(
    precision: str,
    problem: Problem,
    style_loss: str = "gram",
    grain_weight: float = 0.0,
) -> Step:
    """Makes our compiled train step; its first call traces and compiles.

    Args:
        precision: Type that the network computes in.
        problem: Images, network weights and pooling.
        style_loss: A name in `style_kinds.STYLE_LOSSES`.
        grain_weight: Weight of the loss of grain.

    Returns:
        The step; on a CPU it returns when all of it is done.
    """
    import plans
    import tensorflow as tf

    from nst_tf.losses import objectives, style_kinds
    from nst_tf.network import architectures, extractors
    from nst_tf.optimize import descent, first_order
    from nst_tf.plan import settings
    from nst_tf.transfer import targets

    kind = style_kinds.STYLE_LOSSES[style_loss]
    layers = settings.parse_layers(kind.layers)
    neighbors = settings.parse_layers(style_kinds.NEIGHBORS_LAYERS)
    plan = plans.compare_layers(
        problem.content,
        problem.style,
        CONTENT_LAYERS,
        layers if kind.layers != style_kinds.LAYERS else STYLE_LAYERS,
        style_loss=style_loss,
        neighbors=neighbors if kind.beside else {},
        grain_weight=grain_weight,
    )
    extractor = extractors.vgg(
        "vgg19",
        targets.list_layers(plan),
        problem.network_weights,
        pooling=problem.pooling,
        padding=PADDING,
        dtype=precision,
        convolution=architectures.choose_convolution("auto", precision),
    )
    height, width = problem.init.shape[:2]
    loss_list = targets.perceptual_losses(plan, extractor, height, width)
    image = tf.Variable(tf.constant(problem.init[None]), trainable=False)
    optimizer = first_order.Adam(
        image, LEARNING_RATE, beta_1=BETAS[0], beta_2=BETAS[1]
    )
    train_step = descent.make_train_step(
        optimizer, objectives.make_objective(extractor, loss_list)
    )

    def step() -> tuple[Mapping[str, Any], Any]:
        evaluation = train_step()
        gradient: Any = evaluation.gradient
        return evaluation.terms, gradient[0]

    return step


def floor(precision: str, problem: Problem) -> Step:
    """Makes what no step can be faster than: its convolutions, compiled.

    All of them, and their gradients with respect to what they are of, each on
    what the one before gives; where blocks meet, on as much of it, or on maps
    of the size that there are. Padding is with zeros.
    """
    import tensorflow as tf

    from nst_tf.network import architectures

    chain = architectures.list_convolutions("vgg19")
    chain = chain[: 1 + [layer.name for layer in chain].index("block5_conv1")]
    kernels = [
        tf.constant(problem.network_weights[layer.name][0], precision)
        for layer in chain
    ]
    begins = [layer.name.endswith("_conv1") for layer in chain]

    @tf.function(autograph=False)
    def convolutions(image: tf.Tensor) -> tf.Tensor:
        values: Any = image
        shapes: list[Any] = []
        ends: list[Any] = []
        for kernel, is_first in zip(kernels, begins, strict=True):
            if is_first and shapes:
                ends.append(values)
                height, width = values.shape[1:3]
                values = values[:, : height // 2, : width // 2]
            shapes.append(values.shape)
            values = tf.nn.conv2d(values, kernel, 1, "SAME")
        for number in reversed(range(len(kernels))):
            kernel = kernels[number]
            if values.shape[1:3] != shapes[number][1:3]:
                # Always zero, which the compiler does not know.
                kernel += tf.minimum(tf.abs(values[0, 0, 0, 0]), 0)
                values = ends.pop()
            values = tf.nn.conv2d_transpose(
                values, kernel, shapes[number], 1, "SAME"
            )
        return values

    image = tf.constant(problem.init[None], precision)

    def step() -> tuple[Mapping[str, Any], Any]:
        return {}, convolutions(image)

    return step


class PlainTorch:
    """The step as the PyTorch tools of the field write it.

    One forward pass; losses of the features kept; backward; `torch.optim.Adam`
    on a leaf image in float32; clamping in place. In float32 channels come
    first, in bfloat16 last, which is fastest for each.
    """

    def __init__(self, problem: Problem, dtype: str = "float32") -> None:
        import torch

        torch.set_num_threads(os.cpu_count() or 1)
        self._dtype = getattr(torch, dtype)
        self._layout = (
            torch.contiguous_format
            if dtype == "float32"
            else torch.channels_last
        )
        kinds: dict[str, Any] = {
            "average": torch.nn.functional.avg_pool2d,
            "max": torch.nn.functional.max_pool2d,
        }
        self._pool = kinds[problem.pooling]
        self._mean = torch.tensor(MEAN_COLOR).reshape(1, 3, 1, 1) / 255.0
        self._convolutions = [
            (name, self._cast(kernel), self._cast(bias))
            for name, kernel, bias in _torch_convolutions(problem)
        ]
        with torch.no_grad():
            self._content = self._features(_torch_image(problem.content))
            style = self._features(_torch_image(problem.style))
            self._grams = {name: _torch_gram(style[name]) for name in style}
        self._image = _torch_image(problem.init).requires_grad_()
        self._optimizer = torch.optim.Adam(
            [self._image], lr=LEARNING_RATE, betas=BETAS
        )

    def step(self) -> tuple[Mapping[str, Any], Any]:
        """Evaluates, updates, clamps."""
        import torch

        self._optimizer.zero_grad()
        features = self._features(self._image)
        terms, loss = {}, torch.zeros(())
        for layer, weight in CONTENT_LAYERS.items():
            term = _relative(features[layer], self._content[layer])
            terms[f"content/{layer}"] = term.detach()
            loss = loss + weight * term
        for layer, weight in STYLE_LAYERS.items():
            term = _relative(_torch_gram(features[layer]), self._grams[layer])
            terms[f"style/{layer}"] = term.detach()
            loss = loss + weight * term
        torch.autograd.backward(loss)
        self._optimizer.step()
        with torch.no_grad():
            self._image.clamp_(0.0, 1.0)
        assert self._image.grad is not None
        return terms, self._image.grad[0].permute(1, 2, 0)

    def _features(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Runs the network on [1, 3, H, W]; keeps the layers of the losses."""
        from torch.nn import functional

        outputs = {}
        features = self._cast(image - self._mean)
        for name, kernel, bias in self._convolutions:
            padding = 1
            if name == "block1_conv1":
                # By one pixel, to repeat the border is to mirror it.
                features = functional.pad(features, (1, 1, 1, 1), "replicate")
                padding = 0
            elif name.endswith("conv1"):
                features = self._pool(features, 2)
            features = functional.conv2d(
                features, kernel, bias, padding=padding
            )
            features = functional.relu(features)
            if name in CONTENT_LAYERS or name in STYLE_LAYERS:
                outputs[name] = features
        return outputs

    def _cast(self, values: torch.Tensor) -> torch.Tensor:
        """Brings maps and kernels to the type and layout that are computed."""
        values = values.to(self._dtype)
        if values.ndim < 4:
            return values
        return values.contiguous(memory_format=self._layout)


def _torch_convolutions(
    problem: Problem,
) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Turns the weights to channels first, for RGB less its mean."""
    import torch

    convolutions = []
    for name, (kernel, bias) in problem.network_weights.items():
        if name == "block1_conv1":
            kernel = 255.0 * kernel[:, :, ::-1]
        tensor = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        convolutions.append((name, tensor, torch.tensor(bias)))
        if name == "block5_conv1":
            break
    return convolutions


def _torch_image(image: np.ndarray) -> torch.Tensor:
    """Turns [H, W, 3] to [1, 3, H, W]."""
    import torch

    return torch.tensor(image.transpose(2, 0, 1)[None].copy())


def _torch_gram(features: torch.Tensor) -> torch.Tensor:
    """The Gram matrix, [C, C], of [1, C, H, W], in float32."""
    if features.shape[1] == features.stride(3):  # channels last
        flat = features.permute(0, 2, 3, 1).flatten(0, 2)  # [H * W, C]
        return (flat.T @ flat).float() / flat.shape[0]
    flat = features.flatten(2)[0]  # [C, H * W]
    return flat @ flat.T / flat.shape[1]


def _relative(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The squared difference, relative to the target's square."""
    value, target = value.float(), target.float()
    return (value - target).square().sum() / target.square().sum()


def _measure(
    names: Sequence[str], problem: Problem, repeats: int
) -> dict[str, Any]:
    """Steps the contestants in turn; the part of a record about them."""
    steps = {name: make_step(name, problem) for name in names}
    first = {
        name: harness.time_call(step, harness.PAUSE_SECONDS)
        for name, step in steps.items()
    }
    start, others = time.perf_counter(), _others_seconds()
    seconds = harness.time_in_turn(steps, repeats, pause=harness.PAUSE_SECONDS)
    others = (_others_seconds() - others) / (time.perf_counter() - start)
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        rows[name] = {
            "seconds": harness.spread(seconds[name]),
            "compile_seconds": round(first[name][0], 3),
        }
        for other, key in (
            ("torch", "ratio"),
            ("torch_bfloat16", "ratio_bfloat16"),
        ):
            if other in names and name not in TORCHES:
                ratios = harness.divide(seconds[other], seconds[name])
                rows[name][key] = harness.spread(ratios)
        if f"floor_{name}" in names:
            ratios = harness.divide(seconds[name], seconds[f"floor_{name}"])
            rows[name]["over_floor"] = harness.spread(ratios)
        if "torch" in names and name != "torch" and first[name][1][0]:
            rows[name] |= _agreement(first[name][1], first["torch"][1])
    found = rows.get("float32", {})
    agreed = (
        found["loss_difference"] <= LOSS_TOLERANCE
        and found["gradient_cosine"] > LEAST_COSINE
        if "loss_difference" in found
        else None
    )
    return {
        "contestants": rows,
        "agreed": agreed,
        "cores_taken_by_others": round(others, 2),
    }


def _others_seconds() -> float:
    """Processor time that all other processes have had; 0 if not on Linux."""
    path = Path("/proc/stat")
    if not path.exists():
        return 0.0
    ticks = [int(word) for word in path.read_text().split(maxsplit=9)[1:9]]
    busy = sum(ticks) - ticks[3] - ticks[4]  # less idle and waiting
    return busy / os.sysconf("SC_CLK_TCK") - sum(os.times()[:2])


def _agreement(actual: Any, expected: Any) -> dict[str, float]:
    """The largest relative difference of a loss, and the gradients' cosine."""
    difference = max(
        abs(float(actual[0][name]) / float(value) - 1)
        for name, value in expected[0].items()
    )
    return {
        "loss_difference": float(f"{difference:.2e}"),
        "gradient_cosine": round(harness.cosine(actual[1], expected[1]), 7),
    }


def _peak(name: str, size: int, flags: argparse.Namespace) -> dict[str, int]:
    """Starts a fresh process that takes two steps; its peaks in MB."""
    print(f"peak memory of {name} at {size} ...", flush=True)
    command = [sys.executable, __file__, f"--peak_of={name}"]
    command += [f"--sizes={size}", f"--pooling={flags.pooling}"]
    child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode:
        print(f"failed ({child.returncode}): {child.stderr[-300:].strip()}")
        return {}
    return dict(json.loads(child.stdout.splitlines()[-1]))


def _own_peak(name: str, flags: argparse.Namespace) -> dict[str, int]:
    """Takes two steps; this process's peak, in all and beyond its imports."""
    importlib.import_module(
        "torch" if name in TORCHES else "nst_tf.transfer.method"
    )
    imported = _resident_peak()
    step = make_step(
        name, make_problem(flags.sizes[0], _random_weights(), flags.pooling)
    )
    for _ in range(2):
        step()
    peak = _resident_peak()
    return {"peak_mb": peak, "peak_above_import_mb": peak - imported}


def _resident_peak() -> int:
    """The peak of this process's resident memory, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6)


def make_problem(size: int, network_weights: Any, pooling: str) -> Problem:
    """Makes three images of 4:3, smooth noise with a little grain."""
    import numpy as np

    from nst_tf.images import image_io

    height, width = round(size * 3 / 4), size
    images = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        smooth = image_io.resize(rng.random((12, 16, 3)), height, width)
        grain = rng.random((height, width, 3))
        images.append((0.8 * smooth + 0.2 * grain).astype("f4"))
    return Problem(images[0], images[1], images[2], network_weights, pooling)


def find_weights(source: str) -> tuple[Any, str]:
    """Reads the weights, or makes random ones; and says which they are."""
    from nst_tf.network import weight_files

    if source == "random":
        return _random_weights(), "random"
    return weight_files.load("vgg19", source).layers, "vgg19"


def _random_weights() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Draws He-normal kernels; the biases are zero."""
    import numpy as np

    from nst_tf.network import architectures

    rng = np.random.default_rng(0)
    arrays = {}
    for layer in architectures.list_convolutions("vgg19"):
        shape = (3, 3, layer.in_channels, layer.out_channels)
        scale = np.float32((2 / (9 * layer.in_channels)) ** 0.5)
        kernel = scale * rng.standard_normal(shape, "f4")
        arrays[layer.name] = kernel, np.zeros(layer.out_channels, "f4")
    return arrays


def _table(record: Mapping[str, Any]) -> str:
    """Writes a record for people, in lines of at most 80 columns."""
    width, height = record["size"]
    lines = [
        f"\n{width} x {height}, {record['pooling']} pooling, "
        f"{record['weights']} weights, {record['repeats']} rounds: "
        "median (min-max)",
        f"{'':15}{'seconds a step':>21}{'torch / this':>19}"
        f"{'first':>8}{'peak MB':>8}{'above':>8}",
    ]
    for name, row in record["contestants"].items():
        ratio = harness.range_text(row["ratio"], 2) if "ratio" in row else "-"
        lines.append(
            f"{name:15}{harness.range_text(row['seconds'], 3):>21}{ratio:>19}"
            f"{row['compile_seconds']:8.2f}{row.get('peak_mb', '-'):>8}"
            f"{row.get('peak_above_import_mb', '-'):>8}"
        )
    for name, row in record["contestants"].items():
        if "over_floor" in row:
            over = harness.range_text(row["over_floor"], 2)
            lines.append(f"{name} takes {over} times its convolutions")
        if "ratio_bfloat16" in row and name == "bfloat16":
            faster = harness.range_text(row["ratio_bfloat16"], 2)
            lines.append(f"{name} is {faster} times torch in bfloat16")
    for name, row in record["contestants"].items():
        if "loss_difference" in row:
            lines.append(
                f"{name} and torch: losses within {row['loss_difference']:.1e},"
                f" cosine of the gradients {row['gradient_cosine']:.6f}"
            )
    if record["agreed"] is False:
        lines.append("float32 and torch do NOT agree.")
    if record["cores_taken_by_others"] > 0.1:
        lines.append(
            f"Other programs took {record['cores_taken_by_others']:.2f} of "
            f"{record['cores']} cores: the times are not to be trusted."
        )
    return "\n".join(lines)


def _plot(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws what a step takes, the part of the convolutions darker."""
    figure, axes = harness.start_plot("step_time", (7, 3.2))
    rows = [name for name in (*TORCHES, *PRECISIONS) if name in LABELS]
    width = 0.8 / len(rows)
    for number, name in enumerate(rows):
        places, heights, floors = [], [], []
        for group, record in enumerate(records):
            contestants = record["contestants"]
            if name in contestants:
                places.append(group + (number + 0.5) * width - 0.4)
                heights.append(contestants[name]["seconds"]["median"])
                its_floor = contestants.get(f"floor_{name}", {})
                floors.append(its_floor.get("seconds", {}).get("median", 0))
        axes.bar(places, heights, width, label=LABELS[name], alpha=0.6)
        axes.bar(places, floors, width, color="black", alpha=0.35)
    axes.bar([0], [0], color="black", alpha=0.35, label="its convolutions")
    sizes = [" x ".join(map(str, record["size"])) for record in records]
    axes.set_xticks(range(len(records)), sizes)
    axes.set(ylabel="seconds a step", yscale="log")
    axes.grid(True, axis="y", which="both", alpha=0.3)
    axes.legend()
    harness.save_plot(figure, path)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the flags."""
    parser = harness.make_parser(__doc__, "step_time")
    on_off = argparse.BooleanOptionalAction
    add = parser.add_argument
    add("--sizes", default="256,512,1024", help="long sides (256,512,1024)")
    add("--precisions", default="float32,bfloat16", help=f"of {PRECISIONS}")
    add("--pooling", choices=["average", "max"], default="average")
    add("--repeats", type=int, default=7, help="rounds (7)")
    add("--weights", default="auto", help="file, imagenet, random, or auto")
    add("--peak", action=on_off, default=True, help="measure memory too")
    add("--peak_of", help=argparse.SUPPRESS)
    flags = parser.parse_args(arguments)
    named = flags.weights not in ("auto", "imagenet", "random")
    if named and not Path(flags.weights).expanduser().exists():
        parser.error(f"there is no weights file {flags.weights}")
    flags.precisions = flags.precisions.split(",")
    if set(flags.precisions) - set(PRECISIONS):
        parser.error(f"--precisions: expected some of {', '.join(PRECISIONS)}")
    try:
        flags.sizes = [int(size) for size in flags.sizes.split(",")]
    except ValueError:
        parser.error("--sizes: expected whole numbers, such as 256,512")
    if min(flags.sizes) < 32 or flags.repeats < 1:
        parser.error("expected --sizes of 32 or more, --repeats of 1 or more")
    return flags


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
