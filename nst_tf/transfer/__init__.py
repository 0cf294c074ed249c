"""The method of Gatys et al., put together, readable in one sitting.

`targets` makes losses of content and style images at one size; `method` joins
network, losses, tiles and optimizer, and yields each step.
docs/adding_a_loss.md has an example that calls `method.stylize_steps`.
"""
