"""The table of optimizers: their names and classes."""

from collections.abc import Mapping
from typing import Any

from nst_tf.optimize import first_order, lbfgs

OPTIMIZERS: Mapping[str, Any] = {
    "adam": first_order.Adam,
    "lbfgs": lbfgs.Lbfgs,
    "sgd": first_order.Sgd,
}
