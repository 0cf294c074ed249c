"""Optimizers: they minimize an objective over an image, level by level.

An optimizer only calls `image -> Evaluation`: it uses no network, loss or file.
`descent` has the compiled train step and the loop over levels; `stopping` has
the stop rules.

    import tensorflow as tf
    from nst_tf import optimize
    image = tf.Variable(tf.fill([1, 48, 64, 3], 0.5))
    optimizer = optimize.Adam(image)
"""

from typing import TYPE_CHECKING

import nst_tf

if TYPE_CHECKING:
    from nst_tf.optimize.descent import Step as Step
    from nst_tf.optimize.first_order import Adam as Adam
    from nst_tf.optimize.first_order import Sgd as Sgd
    from nst_tf.optimize.lbfgs import Lbfgs as Lbfgs
else:
    __all__, __getattr__, __dir__ = nst_tf.import_lazily(
        __name__,
        {},
        {
            "Adam": "first_order:Adam",
            "Lbfgs": "lbfgs:Lbfgs",
            "Sgd": "first_order:Sgd",
            "Step": "descent:Step",
        },
    )
