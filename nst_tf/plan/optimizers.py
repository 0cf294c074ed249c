"""The table of optimizers: all that is asked of one before it is imported.

Nothing here needs TensorFlow.
"""

import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple


class OptimizerKind(NamedTuple):
    """An optimizer: where its class is, and what a plan needs to know.

    The bytes are fitted to runs of scripts/benchmarks/memory.py.
    """

    location: str  # of its class, "module:class"
    settings: frozenset[str]  # the fields of `Job` that it takes
    steps: tuple[int, ...]  # at each level, from the coarsest, by default
    # What is kept for each pixel of a picture in tiles: the picture, its
    # gradient, the average and the best one, two moments, 12 bytes each, and a
    # quarter of the level before.
    state_bytes: int
    pair_bytes: int = 0  # kept for each pixel of each change in `history`
    conventions: frozenset[str] = (
        frozenset()
    )  # fields of `Convention`, likewise

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
        _FIRST_ORDER | {"beta_1", "beta_2", "epsilon"},
        steps=(100, 80, 50),
        state_bytes=75,
        conventions=frozenset({"scaled", "corrected"}),
    ),
    # It keeps tensors: TensorFlow's allocator returns nothing, and the gaps
    # that smaller levels leave do not all fit. A pair is two images of three
    # float32; all are copied when one is appended.
    "lbfgs": OptimizerKind(
        "nst_tf.optimize.lbfgs:Lbfgs",
        frozenset({"learning_rate", "history", "bounds"}),
        steps=(50, 50, 40, 50),
        state_bytes=94,
        pair_bytes=62,  # it steps alike at any scale: no `scaled`
    ),
    "sgd": OptimizerKind(
        "nst_tf.optimize.first_order:Sgd",
        _FIRST_ORDER,
        steps=(100, 80, 50),
        state_bytes=51,
        conventions=frozenset({"scaled"}),
    ),
}
