"""The method of Gatys et al., put together, readable in one sitting.

`targets` makes losses of content and style images at one size; `method` joins
network, losses, tiles and optimizer, and yields each step.

    from nst_tf.transfer import method
    for step in method.stylize_steps(content, styles, ...): ...
"""
