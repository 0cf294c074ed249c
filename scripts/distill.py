"""Trains the small network that ships in nst_tf/data.

A VGG19 with half of the channels learns to give feature maps from which those
of the real one, the teacher, are a linear map, for all sixteen convolutions:

    features of the teacher = features of the small network @ projection

    python scripts/distill.py --teacher=VGG19.h5 --pictures=FOLDER

It begins as a pruned teacher: in each layer the channels that explain the
others best are kept, and the next kernel reads the rest from them (He, Zhang,
Sun 2017). Then it is trained as a whole. Half of each batch are photographs
and paintings, each with a perturbed copy; the other half are pictures that the
small network itself paints meanwhile, at two moments of their optimization, so
that it is corrected where it fools itself. Of each such pair the change of the
features counts as well as the features: pictures are made by gradients.

A killed training goes on from its last checkpoint, with pictures painted anew.
All is seeded; rounding differs with the machine and its threads.

Source:
    Hinton, Vinyals, Dean. Distilling the Knowledge in a Neural Network. 2015;
    of features: Romero et al. FitNets. ICLR 2015; of derivatives: Czarnecki et
    al. Sobolev Training for Neural Networks. NeurIPS 2017; the pruned start:
    He, Zhang, Sun. Channel Pruning for Accelerating Very Deep Neural Networks.
    ICCV 2017.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from nst_tf.backend import device
from nst_tf.network import weight_files

device.prepare()

import tensorflow as tf  # noqa: E402
from distillation import networks, packing, painting, pictures  # noqa: E402
from distillation.networks import CONTENT, STYLE  # noqa: E402

IMPORTANCE = {
    name: 1.0 if name in (*STYLE, CONTENT) else 0.2 for name in networks.LAYERS
}
# The parts of the loss: projected features, their mean squares (a regression
# alone gives too small ones), their change from one picture to the other, and
# their Gram matrices.
SHARES = {"features": 1.0, "sizes": 0.5, "changes": 0.5, "grams": 0.3}
STRIDES = {1: 4, 2: 4, 3: 2, 4: 1, 5: 1}  # of positions compared, by block
PAINT_EVERY, PAINT_FROM, POOL = 10, 100, 384  # steps, steps, pairs
MAX_POOLED_EVERY = 8  # steps; the others pool averages, as the product does


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--teacher", required=True, help="VGG19, HDF5")
    parser.add_argument("--pictures", required=True, help="folder of JPEGs")
    parser.add_argument(
        "--exclude", help="folder: pictures like those in it are left out"
    )
    parser.add_argument(
        "--work", default="distilled", help="of checkpoints, and the result"
    )
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--batch", type=int, default=8, help="even")
    parser.add_argument("--crop", type=int, default=256, help="pixels")
    parser.add_argument("--learning_rate", type=float, default=4e-4)
    parser.add_argument("--save_every", type=int, default=500, help="steps")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    training, held_out = pictures.load_pictures(
        Path(arguments.pictures), arguments.exclude
    )
    print(f"{len(training)} pictures, {len(held_out)} held out", flush=True)
    teacher = networks.Teacher(
        weight_files.read(Path(arguments.teacher), "vgg19"),
        pictures.crops(training, arguments.crop, 16, np.random.default_rng(1)),
    )
    train(teacher, training, held_out, arguments)


def train(
    teacher: networks.Teacher,
    training: Sequence[Image.Image],
    held_out: Sequence[Image.Image],
    arguments: argparse.Namespace,
) -> None:
    """Trains, checkpoints, and writes the network after each held-out loss."""
    work = Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    student = networks.Student(teacher)
    warmup = min(100, arguments.steps // 10)
    optimizer = tf.keras.optimizers.Adam(
        tf.keras.optimizers.schedules.CosineDecay(
            0.0,
            arguments.steps - warmup,
            alpha=0.01,
            warmup_target=arguments.learning_rate,
            warmup_steps=warmup,
        ),
        beta_2=0.99,
        use_ema=True,
        ema_momentum=0.998,
    )
    optimizer.build(student.trainable_variables)
    steps = tf.Variable(tf.constant(0, tf.int64))
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(student=student, optimizer=optimizer, steps=steps),
        str(work),
        max_to_keep=2,
    )
    if manager.restore_or_initialize():
        print(f"going on from step {int(steps)}", flush=True)
    painter = painting.Painter(student, arguments.crop)
    pool: list[np.ndarray] = []

    @tf.function(reduce_retracing=True)
    def step(images: tf.Tensor, pooling: str) -> tf.Tensor:
        wanted = networks.extract(teacher.network, images, pooling)
        with tf.GradientTape() as tape:
            maps = networks.extract(student.network, images, pooling)
            loss = total(compare(student, maps, wanted))
        variables = student.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return loss

    scored = pictures.crops(
        held_out, arguments.crop, 12, np.random.default_rng(2)
    )
    began, spent = time.monotonic(), []
    while steps < arguments.steps:
        number = int(steps)
        rng = np.random.default_rng([arguments.seed, number])
        if number % PAINT_EVERY == 0 and number >= PAINT_FROM:
            content, style = pictures.crops(training, arguments.crop, 2, rng)
            pool = [*painter.paint(content, style, rng), *pool][:POOL]
        images = batch(training, pool, arguments, rng)
        pooling = "AVG" if (number + 1) % MAX_POOLED_EVERY else "MAX"
        loss = step(tf.constant(images), pooling)
        spent.append(float(loss))
        steps.assign_add(1)
        if number % 50 == 49:
            rest = (time.monotonic() - began) / len(spent)
            rest *= arguments.steps - number - 1
            print(
                f"step {number + 1} of {arguments.steps}, "
                f"loss {np.mean(spent[-50:]):.4f}, "
                f"{rest / 60:.0f} minutes left",
                flush=True,
            )
        done = number + 1 == arguments.steps
        if done or number % arguments.save_every == arguments.save_every - 1:
            manager.save()
            report(student, optimizer, teacher, scored, arguments, number + 1)


def batch(
    training: Sequence[Image.Image],
    pool: Sequence[np.ndarray],
    arguments: argparse.Namespace,
    rng: np.random.Generator,
) -> np.ndarray:
    """Images, then as many changed ones, [B, side, side, 3]."""
    num_pairs = arguments.batch // 2
    num_painted = min(num_pairs // 2, len(pool))
    images = pictures.crops(
        training, arguments.crop, num_pairs - num_painted, rng
    )
    painted = [pool[int(rng.integers(len(pool)))] for _ in range(num_painted)]
    first = [*images, *(pair[0] for pair in painted)]
    second = [*pictures.perturbed(images, rng), *(pair[1] for pair in painted)]
    return np.stack(first + second)


def compare(
    student: networks.Student,
    maps: networks.Features,
    wanted: networks.Features,
) -> dict[str, dict[str, tf.Tensor]]:
    """Errors of projected features by kind and layer, each relative, [].

    The second half of the batch is the first one, changed.
    """
    errors: dict[str, dict[str, tf.Tensor]] = {kind: {} for kind in SHARES}
    axes = [1, 2, 3]
    for name, projection in student.projections.items():
        stride = STRIDES[networks.LAYERS[name].block]
        found = maps[name][:, 1::stride, 1::stride]
        target = wanted[name][:, 1::stride, 1::stride]
        kernel = tf.cast(projection, tf.bfloat16)[None, None]
        found = tf.nn.conv2d(found, kernel, 1, "VALID")
        found, target = tf.cast(found, tf.float32), tf.cast(target, tf.float32)
        found_size = tf.reduce_mean(tf.square(found), axes)
        target_size = tf.reduce_mean(tf.square(target), axes)
        difference = found - target
        errors["features"][name] = networks.mean_square(
            difference
        ) / tf.reduce_mean(target_size)
        errors["sizes"][name] = networks.mean_square(
            tf.math.log((found_size + 1e-3) / (target_size + 1e-3))
        )
        first, second = tf.split(difference, 2)
        change = first - second
        first, second = tf.split(target, 2)
        target_change = first - second
        errors["changes"][name] = tf.reduce_mean(
            tf.reduce_mean(tf.square(change), axes)
            / (tf.reduce_mean(tf.square(target_change), axes) + 1e-3)
        )
    for name in STYLE:
        found = networks.projected(
            networks.gram(maps[name]), student.projections[name]
        )
        target = networks.gram(wanted[name])
        errors["grams"][name] = tf.reduce_mean(
            tf.reduce_sum(tf.square(found - target), [1, 2])
            / tf.reduce_sum(tf.square(target), [1, 2])
        )
    return errors


def total(errors: Mapping[str, Mapping[str, tf.Tensor]]) -> tf.Tensor:
    """The weighted sum of all errors, []."""
    return tf.add_n(
        [
            SHARES[kind] * IMPORTANCE[name] * error
            for kind, by_layer in errors.items()
            for name, error in by_layer.items()
        ]
    )


def report(
    student: networks.Student,
    optimizer: tf.keras.optimizers.Optimizer,
    teacher: networks.Teacher,
    held_out: np.ndarray,
    arguments: argparse.Namespace,
    number: int,
) -> None:
    """Scores the average of the weights, and writes it as the network."""
    kept = [variable.numpy() for variable in student.trainable_variables]
    optimizer.finalize_variable_values(student.trainable_variables)
    images = held_out.copy()
    half = len(images) // 2
    images[half:] = pictures.perturbed(images[:half], np.random.default_rng(3))
    row: dict[str, object] = {"step": number}
    for pooling in ("AVG", "MAX"):
        errors = compare(
            student,
            networks.extract(student.network, tf.constant(images), pooling),
            networks.extract(teacher.network, tf.constant(images), pooling),
        )
        row[pooling] = {
            "loss": float(total(errors)),
            **{
                kind: {k: round(float(v), 4) for k, v in by_layer.items()}
                for kind, by_layer in errors.items()
            },
        }
    path = Path(arguments.work) / "vgg19_small.npz"
    row["sha256"] = packing.write_small(
        path, *networks.finished(student, teacher, teacher.images)
    )
    with open(path.with_name("held_out.jsonl"), "a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
    for variable, value in zip(student.trainable_variables, kept, strict=True):
        variable.assign(value)


if __name__ == "__main__":
    main()
