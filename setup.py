"""Finds the rooms of the package; everything else is in setup.cfg."""

import setuptools

setuptools.setup(
    packages=[
        *setuptools.find_packages(include=["nst_tf", "nst_tf.*"]),
        "nst_tf.configs",
    ]
)
