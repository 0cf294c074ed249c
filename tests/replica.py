"""A process of its own, on one or two devices: what test_replicas.py starts.

    python replica.py gradients DEVICES OUT.npz
    python replica.py program DEVICES FLAG...    -> the program, on the toy
    python replica.py film DEVICES FLAG...       -> nst-tf-video, on the toy

`TF_CONFIG` makes it one of several. How many devices there are is said before
TensorFlow starts, and once.
"""

import sys

import numpy as np
import tensorflow as tf
import toys

from nst_tf.backend import replicas
from nst_tf.cli import main
from nst_tf.losses import objectives, temporal
from nst_tf.network import architectures
from nst_tf.tiling import tiled, views


def gradients(devices, path):
    """Evaluates pictures, whole, alone and together; writes what came of it."""
    strategy = replicas.make_strategy(devices)
    found = {"replicas": replicas.count_devices(strategy)}
    for dtype in ("float32", "float64"):
        for name, team in (
            ("whole", None),
            ("alone", None),
            ("together", strategy),
        ):
            is_cut = name != "whole"
            for key, value in _evaluated(team, dtype, is_cut).items():
                found[f"{name}/{dtype}/{key}"] = value
    np.savez(path, **found)


def _evaluated(strategy, dtype, is_cut):
    """Evaluates two frames of a film one after the other, in one trace."""
    network = toys.extractor(None, dtype=dtype)
    content, style, known, *pictures = (
        toys.image(48, 64, seed, dtype) for seed in range(5)
    )
    confidence = np.random.default_rng(5).uniform(size=(1, 48, 64, 1))
    confidence[:, 8:20, 24:50] = 0  # across tiles of both devices
    loss_list = [
        *toys.style_and_content(network, content, style),
        temporal.TemporalLoss(
            tf.constant(known[None]),
            tf.constant(confidence.astype(dtype)),
            50.0,
        ),
    ]
    if is_cut:
        tiles = views.cut_for_extractor(network, 48, 64, 32)
        assert tiles.number == 6
        evaluate = tiled.make_tiled_objective(
            network, loss_list, tiles, strategy
        )
    else:
        evaluate = objectives.make_objective(network, loss_list)
    variable = tf.Variable(pictures[0][None])
    traces = []

    def step():
        traces.append(0)
        return evaluate(variable)

    step = tf.function(step, autograph=False)
    found = {}
    for number, pixels in enumerate(pictures):
        variable.assign(pixels[None])
        loss, gradient, terms = step()
        found |= {
            f"{number}/{name}": value.numpy()
            for name, value in {
                "loss": loss,
                "gradient": gradient,
                **terms,
            }.items()
        }
    assert len(traces) == 1
    return found


if __name__ == "__main__":
    what, count, *rest = sys.argv[1:]
    architectures.NETWORKS["toy"] = toys.ARCHITECTURE
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * int(count),
    )
    if what == "program":
        sys.exit(main.main(rest))
    if what == "film":
        from nst_tf.video import command

        sys.exit(command.main(rest))
    gradients(int(count), *rest)
