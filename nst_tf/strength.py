"""One knob from the photograph, 0, to the painting, 1.

It sets the weights, and the size of the coarsest level: what is to stay near
the photograph starts at its own size, where its details are, and in shorter
steps, since Adam's are as long however small a gradient is. Pictures are never
mixed. Equal steps of the knob change the structural similarity to the
photograph by about as much: calibrated for Gram matrices on a few pairs
of pictures (scripts/benchmarks/consistency.py measures it), for other style
losses, with longer steps, on one.
"""

import dataclasses
import math

from nst_tf import job

# The ratio of the weights of style and content is, at a strength s,
# scale * HIGHEST * s^POWER * exp(RATE * (s - 1)).
SCALES = {
    "gram": 1.0,
    "moments": 5.0,
    "wasserstein": 2.0,
    "sliced_wasserstein": 7.0,
}
HIGHEST, POWER, RATE = 60.0, 1.0, 7.55
LOWEST = 1e-6
STYLE_WEIGHT = 100.0
CONTENT_WEIGHT = 5.0
TV_WEIGHT = 50.0
ONE_LEVEL, ALL_LEVELS = 0.5, 0.9  # strengths up to which, and from which


def applied(request: job.Job) -> job.Job:
    """Replaces weights, rate and levels of a job by those of its strength.

    A strength of 0 is the photograph itself, after one evaluation. A job
    without a strength is returned as it is.

    Raises:
        ValueError: As `job.check`.
        TypeError: Likewise.
    """
    job.check(request)
    strength = request.strength
    if strength < 0:
        return dataclasses.replace(request, strength=-1.0)
    if strength == 0:
        return dataclasses.replace(
            request,
            strength=-1.0,
            continue_from="",
            optimizer="lbfgs",  # its result is the best image evaluated
            init="content",
            init_noise=0.0,
            levels=1,
            steps=(1,),
        )
    ratio = SCALES[request.style_loss] * HIGHEST
    ratio *= strength**POWER * math.exp(RATE * (strength - 1))
    ratio = max(ratio, LOWEST)
    content_weight = max(CONTENT_WEIGHT, STYLE_WEIGHT / ratio)
    depth = (strength - ONE_LEVEL) / (ALL_LEVELS - ONE_LEVEL)
    depth = min(max(depth, 0.0), 1.0)
    smallest = min(request.min_size, request.size)
    min_size = smallest**depth * request.size ** (1 - depth)
    return dataclasses.replace(
        request,
        strength=-1.0,
        learning_rate=request.learning_rate * min(1.0, 2.0 * strength),
        content_weight=content_weight,
        style_weight=ratio * content_weight,
        tv_weight=TV_WEIGHT,
        min_size=max(16, round(min_size)),
    )
