"""Makes the initial image of a run."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nst_tf.images import image_io
from nst_tf.network import architectures
from nst_tf.plan import planning


def make_initial_image(plan: planning.Plan) -> np.ndarray:
    """Makes the initial image, at the size of the first level.

    The kept parts of the content image are pasted into it.

    Returns:
        [h, w, 3], float32 in [0, 1].
    """
    size, init = plan.levels[0].size, plan.init
    if init.word == "smaller":
        image = image_io.resize(init.picture, *size)
    else:
        image = _mix_noise(plan, *size)
    if plan.keep is not None:
        image = blend_kept(image, plan.content, plan.keep)
    return image


def blend_kept(
    image: np.ndarray, content: np.ndarray, keep: np.ndarray
) -> np.ndarray:
    """Pastes the kept parts of the content image into a picture.

    Args:
        image: [h, w, 3] in [0, 1].
        content: The content image, [H, W, 3].
        keep: Opacity of the content image, [H, W] in [0, 1].
    """
    size = image.shape[:2]
    share = image_io.resize_alpha(keep, *size)[..., None]
    return image + share * (image_io.resize(content, *size) - image)


def _mix_noise(plan: planning.Plan, height: int, width: int) -> np.ndarray:
    """Mixes noise into the initial image."""
    init, size = plan.init, (height, width)
    starts: dict[str, Callable[[], Any]] = {
        "content": lambda: image_io.resize(plan.content, *size),
        "style": lambda: image_io.cover(init.picture, *size),
        "gray": lambda: 0.5,
        "mean": lambda: architectures.MEAN_COLOR,
        "picture": lambda: image_io.cover(init.picture, *size),
    }
    start = None
    if init.word != "noise":
        start = np.broadcast_to(starts[init.word](), (*size, 3))
    generator = np.random.default_rng(init.seed)
    mixed, noise = np.empty((*size, 3), np.float32), np.float64(0)
    for row in range(height):  # row by row: the noise is float64
        if init.noise or start is None:
            noise = generator.uniform(size=(width, 3))
        own = noise if start is None else start[row]
        mixed[row] = (1 - init.noise) * own + init.noise * noise
    return mixed
