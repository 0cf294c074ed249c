"""The optimizers: they minimize an objective over an image, level by level.

An optimizer sees `image -> Evaluation` and nothing else: no network, no loss,
no file. `descent` is the compiled train step and the loop over the levels;
`stopping` says when a level has had enough steps.

    from nst_tf.optimize import optimizers
    optimizer = optimizers.OPTIMIZERS["adam"](image)
"""
