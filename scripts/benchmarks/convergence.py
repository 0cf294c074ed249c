"""Measures loss over seconds: our optimizers, and PyTorch's L-BFGS.

    python scripts/benchmarks/convergence.py --weights=VGG19.h5 \\
        --content=PHOTO --style=PAINTING

All minimize one objective, that of neural-style-pt with its defaults (VGG19
with max pooling, mean squared differences of features and of Gram matrices
divided by C * H * W, absolute total variation), from the content image. The
contestants take turns in blocks of evaluations, so that what else the machine
does meets all of them alike. After each block every picture is judged by one
network in float32, off the clock, clipped to its range, as a file would be,
and as it is. PyTorch computes in float32, without bounds, line search or
stopping, with 100 corrections, as that tool does; ours computes in the
precision that is named, in the box.

What the optimizers cost is measured besides, in turns too: seconds of a step
over those of the evaluation in it.

PyTorch and Matplotlib (for the plot) are optional.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import harness
import step_time

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
    import torch

    from nst_tf.losses import objectives
    from nst_tf.network import extractors

# neural-style-pt's defaults; its pixels are in 0..255.
CONTENT_WEIGHT, STYLE_WEIGHT, TV_WEIGHT = 5.0, 100.0, 1e-3
CONTENT_LAYER = "block4_conv2"
STYLE_LAYERS = [f"block{block}_conv1" for block in range(1, 6)]
CORRECTIONS = 100
BLOCK = 20  # evaluations
MILESTONES = (100, 300, 500)  # evaluations of PyTorch's


class Problem(NamedTuple):
    """What every contestant is given; pictures are [H, W, 3] in [0, 1]."""

    content: np.ndarray
    style: np.ndarray
    network_weights: Mapping[str, tuple[np.ndarray, np.ndarray]]


class Contestant(Protocol):
    """An optimizer on its way."""

    def advance(self, evaluations: int) -> None:
        """Evaluates the objective so many times."""

    def picture(self) -> np.ndarray:
        """What it has painted, [1, H, W, 3], black 0 and white 1."""


def main(arguments: Sequence[str]) -> int:
    """Runs the benchmark, prints tables, appends a line, draws a plot."""
    flags = _parse(arguments)
    harness.hide_gpus()
    if not importlib.util.find_spec("torch"):
        print("PyTorch is not installed: only ours is measured.")
        flags.contestants.remove("torch")
    problem = _problem(flags)
    record = {
        **harness.describe_machine(),
        "size": list(problem.content.shape[1::-1]),
        "pictures": [Path(flags.content).stem, Path(flags.style).stem],
        "block": BLOCK,
        "cost": _costs(problem, flags),
        "curves": _race(problem, flags) if flags.evaluations else {},
    }
    record["reached"] = _reached(record["curves"])
    print(_table(record))
    harness.append(flags.json, record)
    if not flags.evaluations:
        return 0
    if importlib.util.find_spec("matplotlib"):
        _plot(record, flags.json.with_suffix(".svg"))
    else:
        print("Matplotlib is not installed: there is no plot.")
    return 0


def peers_objective(
    extractor: extractors.Extractor, problem: Problem
) -> objectives.Objective:
    """neural-style-pt's objective, by our losses and its divisors."""
    import tensorflow as tf

    from nst_tf.losses import (
        content_loss,
        conventions,
        objectives,
        protocol,
        style_losses,
        sums,
        total_variation,
    )

    content, style = (
        extractor.compiled(tf.constant(image[None]))
        for image in (problem.content, problem.style)
    )
    convention = conventions.CONVENTIONS["neural_style_pt"]
    assert convention.style
    rows, columns = problem.content.shape[:2]
    pairs = (rows - 1) * columns + rows * (columns - 1)
    loss_list: list[protocol.Loss] = [
        content_loss.ContentLoss(
            CONTENT_LAYER, content[CONTENT_LAYER], CONTENT_WEIGHT, divisor=1.0
        ),
        total_variation.TotalVariationLoss(
            255.0 * TV_WEIGHT, convention.neighbors, 1.0 / (3 * pairs)
        ),
    ]
    for layer in STYLE_LAYERS:
        gram = sums.gram_matrix(style[layer])
        sizes = conventions.Sizes(int(gram.shape[0] or 0), 0, 0)
        loss_list.append(
            style_losses.GramLoss(
                layer, gram, STYLE_WEIGHT, divisor=convention.style(sizes)
            )
        )
    return objectives.make_objective(extractor, loss_list)


class Ours:
    """One of our optimizers in one precision, as in "lbfgs-bfloat16"."""

    def __init__(self, name: str, problem: Problem, **settings: Any):
        import tensorflow as tf

        from nst_tf.optimize import descent
        from nst_tf.plan import optimizers

        optimizer, precision = name.split("-")
        image = tf.constant(problem.content[None])
        self.image = tf.Variable(image, trainable=False)
        make = optimizers.OPTIMIZERS[optimizer].load()
        self._optimizer = make(self.image, **settings)
        evaluate = peers_objective(_extractor(problem, precision), problem)
        self._step = descent.make_train_step(self._optimizer, evaluate)

    def advance(self, evaluations: int) -> None:
        """Takes so many steps, of one evaluation each."""
        for _ in range(evaluations):
            loss = self._step().loss
        float(loss)  # waits for the device

    def picture(self) -> np.ndarray:
        """The best picture, or the average of the iterates."""
        return self._optimizer.result().numpy()


class PlainTorch:
    """`torch.optim.LBFGS` as neural-style-pt uses it, in float32."""

    def __init__(self, problem: Problem):
        import torch

        torch.set_num_threads(os.cpu_count() or 1)
        self._kernels = [
            (
                name,
                torch.tensor(kernel.transpose(3, 2, 0, 1).copy()),
                torch.tensor(bias),
            )
            for name, (kernel, bias) in problem.network_weights.items()
            if name <= STYLE_LAYERS[-1]
        ]
        self._mean = torch.tensor(step_time.MEAN_COLOR[::-1])
        with torch.no_grad():
            content = self._features(self._caffe(problem.content))
            style = self._features(self._caffe(problem.style))
        self._content = content[CONTENT_LAYER]
        self._grams = {name: _torch_gram(style[name]) for name in STYLE_LAYERS}
        self._image = self._caffe(problem.content).requires_grad_()
        self._optimizer = torch.optim.LBFGS(
            [self._image],
            max_iter=BLOCK,
            max_eval=2 * BLOCK,
            tolerance_grad=-1,
            tolerance_change=-1,
            history_size=CORRECTIONS,
        )

    def advance(self, evaluations: int) -> None:
        """Takes that many iterations, of one evaluation each."""
        assert evaluations == BLOCK

        def closure() -> torch.Tensor:
            self._optimizer.zero_grad()
            value = self.loss(self._image)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        self._optimizer.step(closure)  # type: ignore[no-untyped-call]

    def picture(self) -> np.ndarray:
        """The picture, not clipped."""
        rgb = (self._image.detach()[0].permute(1, 2, 0) + self._mean).flip(-1)
        return rgb[None].numpy() / 255.0

    def loss(self, image: torch.Tensor) -> torch.Tensor:
        """The objective of an image, [1, 3, H, W], BGR less its mean."""
        from torch.nn import functional

        features = self._features(image)
        mse = functional.mse_loss
        total = CONTENT_WEIGHT * mse(features[CONTENT_LAYER], self._content)
        for name in STYLE_LAYERS:
            total = total + STYLE_WEIGHT * mse(
                _torch_gram(features[name]), self._grams[name]
            )
        down = (image[:, :, 1:] - image[:, :, :-1]).abs().sum()
        right = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs().sum()
        return total + TV_WEIGHT * (down + right)

    def _caffe(self, image: np.ndarray) -> torch.Tensor:
        """[H, W, 3] in [0, 1] -> [1, 3, H, W], BGR in 0..255, less its mean."""
        import torch

        bgr = torch.tensor(255.0 * image).flip(-1) - self._mean
        return bgr.permute(2, 0, 1)[None].contiguous()

    def _features(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Runs the network on [1, 3, H, W]; keeps all layers."""
        from torch.nn import functional

        outputs = {}
        features = image
        for name, kernel, bias in self._kernels:
            if name.endswith("conv1") and name != "block1_conv1":
                features = functional.max_pool2d(features, 2)
            features = functional.conv2d(features, kernel, bias, padding=1)
            outputs[name] = features = functional.relu(features)
        return outputs


def _torch_gram(features: torch.Tensor) -> torch.Tensor:
    """The Gram matrix of [1, C, H, W], over C * H * W."""
    flat = features.flatten(2)[0]
    return flat @ flat.T / flat.numel()


def _extractor(problem: Problem, precision: str) -> extractors.Extractor:
    """VGG19 as that tool has it."""
    from nst_tf.network import extractors

    return extractors.vgg(
        "vgg19",
        [CONTENT_LAYER, *STYLE_LAYERS],
        problem.network_weights,
        pooling="max",
        padding="zeros",
        dtype=precision,
    )


def _race(problem: Problem, flags: argparse.Namespace) -> dict[str, Any]:
    """Lets the contestants take turns; name -> evaluations, seconds, losses."""
    import numpy as np
    import tensorflow as tf

    judge = tf.function(
        peers_objective(_extractor(problem, "float32"), problem),
        autograph=False,
    )
    runs: dict[str, Contestant] = {
        name: PlainTorch(problem)
        if name == "torch"
        else Ours(name, problem, **_settings(name, flags))
        for name in flags.contestants
    }
    names = ("evaluations", "seconds", "loss", "unclipped")
    curves: dict[str, dict[str, list[float]]] = {
        name: {key: [] for key in names} for name in runs
    }
    spent = dict.fromkeys(runs, 0.0)
    for done in range(0, flags.evaluations + 1, BLOCK):
        for name, run in runs.items():
            if done:
                spent[name] += harness.time_call(
                    functools.partial(run.advance, BLOCK), harness.PAUSE_SECONDS
                )[0]
            picture = run.picture()
            clipped, unclipped = (
                float(judge(tf.constant(each)).loss)
                for each in (np.clip(picture, 0, 1), picture)
            )
            row = (done, round(spent[name], 2), clipped, unclipped)
            for key, value in zip(names, row, strict=True):
                curves[name][key].append(value)
            print(
                f"{done:4} evaluations  {name:15} {spent[name]:7.1f} s  "
                f"loss {clipped:.5g}",
                flush=True,
            )
    return curves


def _settings(name: str, flags: argparse.Namespace) -> dict[str, Any]:
    """What an optimizer is given besides its image."""
    if name.startswith("lbfgs"):
        return {"history": flags.history}
    return {"learning_rate": flags.learning_rate, "beta_2": 0.99}


def _costs(problem: Problem, flags: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a step over those of its evaluation, taken in turns."""
    import tensorflow as tf

    costs = {}
    for precision in flags.precisions:
        optimizers = ("adam", "lbfgs")
        ours = {
            name: Ours(f"{name}-{precision}", problem, **_settings(name, flags))
            for name in optimizers
        }
        evaluate = tf.function(
            peers_objective(_extractor(problem, precision), problem),
            autograph=False,
        )
        image = tf.constant(problem.content[None])
        contestants: dict[str, Callable[[], object]] = {
            "evaluation": functools.partial(_evaluate, evaluate, image),
            **{
                name: functools.partial(run.advance, 1)
                for name, run in ours.items()
            },
        }
        times = harness.time_in_turn(contestants, flags.cost_rounds, warm_up=3)
        costs[precision] = {
            "evaluation_seconds": harness.spread(times["evaluation"]),
            **{
                name: harness.spread(
                    harness.divide(times[name], times["evaluation"])
                )
                for name in optimizers
            },
        }
    return costs


def _evaluate(objective: objectives.Objective, image: tf.Tensor) -> float:
    """Evaluates, and waits for the device."""
    return float(objective(image).loss)


def _reached(curves: Mapping[str, Any]) -> list[dict[str, Any]]:
    """When ours had the loss that PyTorch's had at its milestones.

    As it is clipped, and, against what PyTorch has before that, unclipped.
    """
    if "torch" not in curves:
        return []
    torch = curves["torch"]
    rows = []
    for milestone in MILESTONES:
        if milestone not in torch["evaluations"]:
            continue
        at = torch["evaluations"].index(milestone)
        for kind in ("loss", "unclipped"):
            goal, seconds = torch[kind][at], torch["seconds"][at]
            row = {
                "evaluations": milestone,
                "kind": kind,
                "goal": goal,
                "seconds": seconds,
            }
            for name in set(curves) - {"torch"}:
                row[name] = _first_below(curves[name], goal, seconds)
            rows.append(row)
    return rows


def _first_below(
    curve: Mapping[str, Sequence[float]], goal: float, seconds: float
) -> dict[str, float] | None:
    """After which evaluations a curve is at a loss, and in which share."""
    for evaluations, spent, loss in zip(
        curve["evaluations"], curve["seconds"], curve["loss"], strict=True
    ):
        if loss <= goal:
            share = round(spent / seconds, 3)
            return {"evaluations": evaluations, "share": share}
    return None


def _table(record: Mapping[str, Any]) -> str:
    """Writes a record for people."""
    lines = ["", "seconds of a step / of its evaluation, median (min-max):"]
    for precision, cost in record["cost"].items():
        lines.append(
            f"  {precision:9} adam {harness.range_text(cost['adam'], 3)}, "
            f"lbfgs {harness.range_text(cost['lbfgs'], 3)}"
        )
    for row in record["reached"]:
        clipped = "" if row["kind"] == "loss" else ", before it is clipped"
        lines.append(
            f"PyTorch's loss after {row['evaluations']} evaluations{clipped}, "
            f"{row['goal']:.5g} after {row['seconds']:.0f} s, is reached by"
        )
        for name in record["curves"]:
            found = row.get(name)
            if found:
                lines.append(
                    f"  {name:15} after {found['evaluations']} evaluations, in "
                    f"{found['share']:.3f} of the time"
                )
            elif name != "torch":
                lines.append(f"  {name:15} not at all")
    return "\n".join(lines)


def _plot(record: Mapping[str, Any], path: Path) -> None:
    """Draws loss against seconds."""
    figure, axes = harness.start_plot("convergence", (7, 4.2))
    for name, curve in record["curves"].items():
        label = "torch.optim.LBFGS, float32" if name == "torch" else name
        axes.plot(curve["seconds"][1:], curve["loss"][1:], label=label)
    axes.set(
        xlabel="seconds",
        ylabel="loss of the clipped picture, in float32",
        xscale="log",
        yscale="log",
        title=f"{' and '.join(record['pictures'])}, "
        f"{record['size'][0]} x {record['size'][1]}",
    )
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    harness.save_plot(figure, path)


def _problem(flags: argparse.Namespace) -> Problem:
    """Reads the pictures, at their sizes, and the weights."""
    from nst_tf.images import image_io, sizes
    from nst_tf.network import weight_files

    def image(path: str) -> np.ndarray:
        loaded = image_io.load_image(path)
        rows, columns = loaded.shape[:2]
        size = sizes.scale_to_side(rows, columns, flags.size)
        return image_io.resize(loaded, *size).astype("f4")

    layers = weight_files.load("vgg19", flags.weights).layers
    return Problem(image(flags.content), image(flags.style), layers)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the flags."""
    parser = harness.make_parser(__doc__, "convergence")
    names = "torch,lbfgs-bfloat16,adam-bfloat16,lbfgs-float32"
    add = parser.add_argument
    add("--content", default=str(harness.SAMPLES / "harbor_at_dusk.jpg"))
    add("--style", default=str(harness.SAMPLES / "swirling_night.jpg"))
    add("--size", type=int, default=512, help="long side (512)")
    add(
        "--evaluations",
        type=int,
        default=500,
        help="of each (500); 0: the cost only",
    )
    add("--contestants", default=names, help=f"some of them ({names})")
    add("--precisions", default="float32,bfloat16", help="whose cost to take")
    add("--cost_rounds", type=int, default=15, help="rounds of that (15)")
    add("--history", type=int, default=20, help="of L-BFGS (20)")
    add("--learning_rate", type=float, default=0.02, help="of Adam (0.02)")
    add("--weights", default="imagenet", help="of VGG19: file, or imagenet")
    flags = parser.parse_args(arguments)
    flags.contestants = flags.contestants.split(",")
    flags.precisions = [name for name in flags.precisions.split(",") if name]
    return flags


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
