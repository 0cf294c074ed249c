"""Times VGG19's convolutions in float32: Winograd's relative to direct ones.

    python scripts/benchmarks/convolutions.py --size=512

Each pair of channel counts of VGG19, at the size that its maps have in a
picture of 4 : 3, forward and for the gradient. The contestants run in turn. A
ratio is formed within each round: Winograd's time over the direct one's, below
1 where it is faster; `architectures.WINOGRAD_CHANNELS` follows from it. The
error is the largest difference to the same in float64, over its largest value.
To see what CPUs without AVX-512 would do:

    ONEDNN_MAX_CPU_ISA=AVX2 python scripts/benchmarks/convolutions.py
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import harness

WARM_UP = 2  # rounds that do not count


def main(arguments: Sequence[str]) -> int:
    """Measures, prints a line and appends a JSON line for each convolution."""
    flags = _parse(arguments)
    harness.hide_gpus()
    from nst_tf.network import architectures

    chain = architectures.list_convolutions("vgg19")
    last = [layer.name for layer in chain].index("block5_conv1")
    seen = set()
    for layer in chain[1 : last + 1]:
        width = flags.size // layer.stride
        shape = 3 * width // 4, width, layer.in_channels, layer.out_channels
        if shape in seen:
            continue
        seen.add(shape)
        contestants, errors = _make(*shape)
        seconds = harness.time_in_turn(
            contestants, flags.repeats, warm_up=WARM_UP
        )
        ratios = {
            way: harness.spread(
                harness.divide(
                    seconds[f"winograd {way}"], seconds[f"direct {way}"]
                )
            )
            for way in errors
        }
        record = {
            **harness.describe_machine(),
            "isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "all"),
            "shape": shape,
            "seconds": {
                name: harness.spread(times) for name, times in seconds.items()
            },
            "over_direct": ratios,
            "errors": errors,
        }
        height, width, inputs, outputs = shape
        print(
            f"{width:4} x {height:4}, {inputs:3} -> {outputs:3}: "
            + ", ".join(
                f"{way} {harness.range_text(ratio, 2)} of the direct one"
                for way, ratio in ratios.items()
            ),
            flush=True,
        )
        harness.append(flags.json, record)
    return 0


def _make(
    height: int, width: int, inputs: int, outputs: int
) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """Makes the contestants of a convolution; says how Winograd's differ."""
    import numpy as np
    import tensorflow as tf

    from nst_tf.network import winograd

    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, inputs, outputs))
    features = rng.normal(size=(1, height, width, inputs))
    upstream = rng.normal(size=(1, height, width, outputs))
    filters = tf.constant(winograd.transform_kernel(kernel))

    def make(
        convolve: Callable[[tf.Tensor], tf.Tensor], kind: str
    ) -> dict[str, Callable[[], object]]:
        def differentiate(upstream: tf.Tensor) -> tf.Tensor:
            image = tf.zeros(features.shape, kind)
            with tf.GradientTape() as tape:
                tape.watch(image)
                result = convolve(image)
            gradient: Any = tape.gradient(result, image, [upstream])
            return gradient

        forward = tf.function(convolve, autograph=False)
        backward = tf.function(differentiate, autograph=False)
        one, two = (tf.constant(each, kind) for each in (features, upstream))
        return {
            "forward": lambda: forward(one).numpy(),
            "backward": lambda: backward(two).numpy(),
        }

    def direct(kind: str) -> dict[str, Callable[[], object]]:
        constant = tf.constant(kernel, kind)
        return make(lambda x: tf.nn.conv2d(x, constant, 1, "SAME"), kind)

    fast = make(lambda x: winograd.convolve(x, filters), "float32")
    exact = {way: np.array(run()) for way, run in direct("float64").items()}
    errors = {
        way: float(np.abs(run() - exact[way]).max() / np.abs(exact[way]).max())
        for way, run in fast.items()
    }
    contestants = {
        f"{name} {way}": run
        for name, runs in (("direct", direct("float32")), ("winograd", fast))
        for way, run in runs.items()
    }
    return contestants, errors


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = harness.make_parser(__doc__, "convolutions")
    parser.add_argument(
        "--size", type=int, default=512, help="long side of the picture (512)"
    )
    parser.add_argument("--repeats", type=int, default=7, help="rounds (7)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
