"""The sample pictures, one module a picture, and the tools they share.

A picture's module has one entrance, `paint(rng)`, which returns the finished
picture, [HEIGHT, WIDTH, 3], in [0, 1]. `maps`, `colors` and `brush` serve all
of them; `surfaces` and `town` serve the harbor. `moving_scene` is a
clip with its optical flow, for tests and benchmarks of films.
"""
