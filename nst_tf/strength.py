"""One knob from the photograph, 0, to the painting, 1.

It sets the weights, and the size of the coarsest level: what is to stay near
the photograph starts at its own size, where its details are. Pictures are never
mixed. The numbers were calibrated by scripts/benchmarks/consistency.py, so that
equal steps of the knob change the structural similarity to the photograph by
about as much.
"""

import dataclasses

from nst_tf import job

# The ratio of the weights of style and content at strengths of 0 and 1.
RATIOS = {
    "gram": (0.02, 60.0),
    "moments": (0.02, 60.0),
    "wasserstein": (0.02, 60.0),
    "sliced_wasserstein": (0.02, 60.0),
}
STYLE_WEIGHT = 100.0
CONTENT_WEIGHT = 5.0
TV_WEIGHT = 50.0
ONE_LEVEL, ALL_LEVELS = 0.5, 0.9  # strengths up to which, and from which


def applied(request: job.Job) -> job.Job:
    """Replaces weights and levels of a job by those of its strength.

    A strength of 0 is the photograph itself, after one evaluation. A job
    without a strength, or with one that is none, is returned as it is.
    """
    strength = request.strength
    if not 0 <= strength <= 1 or request.style_loss not in RATIOS:
        return request
    if strength == 0:
        return dataclasses.replace(
            request,
            optimizer="lbfgs",  # its result is the best image evaluated
            init="content",
            init_noise=0.0,
            levels=1,
            steps=(1,),
        )
    low, high = RATIOS[request.style_loss]
    ratio = low ** (1 - strength) * high**strength
    content_weight = max(CONTENT_WEIGHT, STYLE_WEIGHT / ratio)
    depth = (strength - ONE_LEVEL) / (ALL_LEVELS - ONE_LEVEL)
    depth = min(max(depth, 0.0), 1.0)
    smallest = min(request.min_size, request.size)
    min_size = smallest**depth * request.size ** (1 - depth)
    return dataclasses.replace(
        request,
        content_weight=content_weight,
        style_weight=ratio * content_weight,
        tv_weight=TV_WEIGHT,
        min_size=round(min_size),
    )
