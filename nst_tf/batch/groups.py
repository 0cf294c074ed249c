"""Plans once for all tasks of one kind with pictures of one size.

The painter compiles once for them, too.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from nst_tf.batch import tasks
from nst_tf.images import image_io
from nst_tf.network import weight_files
from nst_tf.plan import inputs, planning, settings, style_settings, tile_size
from nst_tf.runs import runner

_GRAY = np.float32(0.5)
STARTING = 6.0  # seconds to import TensorFlow and to read, once

Size = tuple[int, int]  # height and width in pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Tasks of one kind, size and number of styles: compiled once.

    Its draft has gray pictures of the right sizes.
    """

    kind: tasks.Kind
    draft: planning.Plan

    @property
    def size(self) -> Size:
        """Height and width of each output."""
        return self.draft.size

    @property
    def work(self) -> int:
        """The work of a picture; its time is proportional to this."""
        return sum(level.work * level.steps for level in self.draft.levels)

    def estimate_memory(self, network: weight_files.NetworkWeights) -> float:
        """Estimates the bytes that one picture needs, without tiles.

        Pictures are counted as if they were arrays of their own.
        """
        read = self.draft.inputs
        pictures = [read.content, *read.styles, *read.others.values()]
        model = tile_size.make_memory_model(
            dataclasses.replace(
                self.draft,
                inputs=read._replace(network=network),
                network=self.draft.network._replace(
                    precision="float32", convolution="direct"
                ),
            )
        )
        held = sum(4 * p.pixels.size for p in pictures)
        return model._replace(read=held).estimate_peak(*self.size)


class Networks:
    """The weights of networks, each read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], weight_files.NetworkWeights] = {}

    def find(
        self, job: settings.Job, *, may_download: bool
    ) -> weight_files.NetworkWeights:
        """Finds the weights of a job; random ones if they must be downloaded.

        Raises:
            ValueError: If there are none, or they are of another network.
        """
        key = job.extractor, job.weights
        known = self._known.get(key)
        if known is None or (known.is_missing and may_download):
            known = self._known[key] = (
                weight_files.load(*key)
                if may_download
                else weight_files.load_without_download(*key)
            )
        return known


def draft(
    job: settings.Job,
    sizes: Sequence[Size],
    counts: Sequence[int],
    smaller: Size | None,
) -> planning.Plan:
    """Plans a task whose pictures are known by their sizes only."""
    style_settings.list_colors(job, len(counts))  # which the rest leaves out
    content, *styles = (_make_picture(size) for size in sizes)
    others = {"continue_from": _make_picture(smaller)} if smaller else {}
    plain = dataclasses.replace(
        job,
        color="style",
        init="content",
        continue_from="x" if smaller else "",
        keep_mask="",
        strength_map="",
        content_mask="",
        style_mask=(),
    )
    read = inputs.Inputs(content, tuple(styles), list(counts), others)
    return planning.draft_plan(plain, read)


def _make_picture(size: Size) -> image_io.Picture:
    """Makes a gray picture that takes no memory."""
    return image_io.Picture(np.broadcast_to(_GRAY, (*size, 3)))


def estimate_seconds(
    todo: Mapping[Group, Sequence[tasks.Task]], networks: Networks
) -> float:
    """Estimates the time of all pictures in one process.

    The first picture of the largest group is timed; that of the others is in
    proportion to their work.

    Args:
        todo: What there is to paint.
        networks: Where the network's weights come from.
    """
    group = max(todo, key=lambda each: each.work * len(todo[each]))
    job = todo[group][0].make_job()
    draft = planning.draft_plan(job, inputs.read_inputs(job))
    draft = draft.add_weights(networks.find(job, may_download=False))
    plan = planning.fit_plan(draft, runner.measure_machine())
    seconds = runner.estimate_seconds(plan)
    work = sum(each.work * len(todo[each]) for each in todo)
    return STARTING + seconds * work / group.work
