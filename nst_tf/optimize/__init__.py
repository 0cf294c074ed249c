"""The optimizers: they minimize an objective over an image, level by level.

An optimizer sees `image -> Evaluation` and nothing else: no network, no loss,
no file. `descent` is the compiled train step and the loop over the levels;
`stopping` says when a level has had enough steps.

    import tensorflow as tf
    from nst_tf.optimize import first_order
    image = tf.Variable(tf.fill([1, 48, 64, 3], 0.5))
    optimizer = first_order.Adam(image)
"""
