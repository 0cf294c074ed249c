"""Lists the optimizers, with everything that a plan needs of them.

Nothing here imports TensorFlow.
"""

import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple


class OptimizerKind(NamedTuple):
    """An optimizer: the location of its class, and its properties.

    The byte counts are fitted to measurements of scripts/benchmarks/memory.py.
    """

    location: str  # "module:class"
    settings: frozenset[str]  # the fields of `Job` that it takes
    steps: tuple[int, ...]  # default steps of each level, coarsest first
    # Bytes of state per pixel with tiles, at 12 bytes an image: the image,
    # its gradient, the average, the best image, two moments, and a quarter for
    # the level before.
    state_bytes: int
    pair_bytes: int = 0  # bytes per pixel of each update in `history`
    conventions: frozenset[str] = frozenset()  # fields of `Convention` it takes

    def load(self) -> Callable[..., Any]:
        """Imports its class, an `optimize.base.Optimizer`."""
        make: Callable[..., Any] = pkgutil.resolve_name(self.location)
        return make


_FIRST_ORDER = frozenset(
    {"learning_rate", "average", "decay_rate", "decay_steps", "bounds"}
)
OPTIMIZERS = {
    "adam": OptimizerKind(
        "nst_tf.optimize.first_order:Adam",
        _FIRST_ORDER | {"beta_1", "beta_2", "epsilon", "carry_moments"},
        steps=(100, 80, 50),
        state_bytes=75,
        conventions=frozenset({"scaled", "corrected"}),
    ),
    # Its history consists of tensors. TensorFlow's allocator never returns
    # memory, and does not reuse all gaps that smaller levels leave. A pair is
    # two float32 images; appending one copies all of them.
    "lbfgs": OptimizerKind(
        "nst_tf.optimize.lbfgs:Lbfgs",
        frozenset({"learning_rate", "history", "bounds"}),
        steps=(50, 50, 40, 50),
        state_bytes=94,
        pair_bytes=62,  # its steps do not depend on scale: no `scaled`
    ),
    "sgd": OptimizerKind(
        "nst_tf.optimize.first_order:Sgd",
        _FIRST_ORDER,
        steps=(100, 80, 50),
        state_bytes=51,
        conventions=frozenset({"scaled"}),
    ),
}
