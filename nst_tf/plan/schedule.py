"""Which optimizer takes how many steps at which size, by default.

Up to 512 pixels L-BFGS: it comes to the loss of Adam in less than half of the
time. Above them Adam, in short steps: it keeps what was found below, and takes
less memory. `scripts/benchmarks/schedule.py` measures what comes of it.
"""

from nst_tf.plan import pyramid, settings

STEPS = (50, 50, 40, 50)
STEPS_OF_ADAM = (100, 80, 50)  # where it takes all of them
# The settings that L-BFGS has not, or means otherwise.
ADAMS = (
    "average",
    "beta_1",
    "beta_2",
    "decay_rate",
    "decay_steps",
    "epsilon",
    "learning_rate",
)


def optimizer_at(request: settings.Job, long_side: int) -> str:
    """Names the optimizer of a level, by its long side in pixels."""
    if request.optimizer != "auto":
        return request.optimizer
    if any(
        getattr(request, name) != getattr(settings.Job, name) for name in ADAMS
    ):
        return "adam"
    return "adam" if long_side > pyramid.LARGE else "lbfgs"


def steps(request: settings.Job) -> tuple[int, ...]:
    """The steps of a job at each level; the last number is repeated."""
    if request.steps:
        return request.steps
    return STEPS if optimizer_at(request, 0) == "lbfgs" else STEPS_OF_ADAM


def levels(
    request: settings.Job, height: int, width: int
) -> list[pyramid.Level]:
    """Lists the levels of a job of an output of height x width pixels."""
    return pyramid.levels(
        height,
        width,
        steps(request),
        min_size=request.min_size,
        max_levels=request.levels,
        growth=request.growth,
    )
