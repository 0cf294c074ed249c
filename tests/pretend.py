"""A painter without a network: quick steps, whose pictures are known.

It takes the place of `method.Painter` where a run is the claim, and not what is
painted; the fixture `painter` of conftest.py puts it there.
"""

import hashlib

import numpy as np
import tensorflow as tf
import toys

from nst_tf.images import image_io
from nst_tf.losses import objectives
from nst_tf.optimize import descent, stopping
from nst_tf.plan import settings
from nst_tf.runs import api, resume

SETTINGS = {
    "extractor": "toy",
    "content_layers": toys.CONTENT_LAYER,
    "style_layers": ",".join(toys.STYLE_LAYERS),
    "style_loss": "gram",
    "content_weight": 5.0,
    "grain_weight": 0.0,
    "precision": "float32",
    "min_size": 48,
    "growth": 2**0.5,
    "size": 96,
    "steps": 3,
}
# What of these has no effect beside another setting.
DISPLACED = {
    "levels": ["min_size", "growth"],
    "print_size": ["size"],
    "strength": ["content_weight"],
}
TERMS = {"content/a": 2.0, "style/b": 3.0}


def choose(**chosen):
    """Settings of the toy network, but for those that others displace."""
    idle = {each for name in chosen for each in DISPLACED.get(name, ())}
    own = {n: value for n, value in SETTINGS.items() if n not in idle}
    return {**own, **chosen}


def job(toy, **chosen):
    """A job on the toy network, of files or of none."""
    return settings.Job(**choose(weights=str(toy), **chosen))


def draft(toy, **chosen):
    """The draft of such a job, of arrays: 48 x 32, 64 x 48, 96 x 72."""
    images = toys.image(60, 80, 0), toys.image(50, 60, 1)
    return api.draft_images(*images, choose(weights=str(toy), **chosen))[1]


class Optimizer:
    """What a step has of its optimizer."""

    rescues = failures = 0

    def __init__(self, height, width):
        self.image = tf.Variable(tf.zeros([1, height, width, 3]))

    def result(self):
        return tf.identity(self.image)


class Painter:
    """Goes from the content to a color, which all that makes a job sets.

    Attributes:
        plans: What it was given to paint.
        starts: The states it was to go on from.
        events: What happens before a step is seen, by its count in a run.
        loss: Of each step.
        tiling: That of a step; None: the plan's.
        network: Likewise.
    """

    size = 0  # of what it keeps

    def __init__(self):
        self.plans, self.starts, self.events = [], [], {}
        self.loss = 7.0
        self.tiling = self.network = None

    def list_shapes(self, level):
        return {"image": ((1, *level.size, 3), "f")}

    def __call__(self, strategy=None, remember=False):
        return self

    def paint(self, plan, start=None, extra_losses=None, stop=None):
        self.plans.append(plan)
        self.starts.append(start)
        stop = stop or stopping.Stop(plan.stop, plan.levels, start)
        count = 0
        for number, level in enumerate(plan.levels):
            resumed = start and start.level == number
            if start and number < start.level:
                continue
            if not stop(number, None) and not resumed:
                continue
            index = start.steps if resumed else 0
            optimizer, step = Optimizer(*level.size), None
            while index < level.steps and (not step or stop(number, step)):
                index, count = index + 1, count + 1
                share = (number + index / level.steps) / len(plan.levels)
                optimizer.image.assign(self.paint_one(plan, level, share)[None])
                evaluation = objectives.Evaluation(
                    self.loss, tf.zeros([0]), dict(TERMS)
                )
                step = descent.Step(number, index, evaluation, optimizer)
                if count in self.events:
                    self.events[count](step)
                yield step

    @staticmethod
    def paint_one(plan, level, share):
        """The picture after a share of all steps."""
        same = resume.make_identity(plan)
        for name in ("version", "steps of levels", "strength", "tolerance"):
            del same[name]  # --rerun has them otherwise
        digest = hashlib.sha256(repr(same).encode()).digest()
        color = np.frombuffer(digest[:3], np.uint8) / np.float32(255)
        content = image_io.resize(plan.content, *level.size)
        return (1 - share) * content + share * color
