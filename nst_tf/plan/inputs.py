"""Reads and checks the files that a job names: pictures and network weights."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf.backend import device
from nst_tf.images import image_io, sources
from nst_tf.network import weight_files
from nst_tf.plan import arrays, checks, settings


class Inputs(NamedTuple):
    """The pictures and network weights of a job, as read from files.

    Attributes:
        content: The content image.
        styles: The style images; a folder is replaced by its pictures.
        counts: The number of pictures of each style of the job.
        others: Masks and initial images, by the names of `list_named_pictures`.
        sources: The path or address of each picture, by "content", "style/0"
            and so on, and the names of `others`; "array" for an array.
        network: The network's weights; None before `load_network`.
    """

    content: image_io.Picture
    styles: tuple[image_io.Picture, ...] = ()
    counts: Sequence[int] = ()
    others: Mapping[str, image_io.Picture] = {}
    sources: Mapping[str, str] = {}
    network: weight_files.NetworkWeights | None = None

    def list_style_sources(self) -> list[str]:
        """Lists the paths or addresses of the style images."""
        return [self.sources[f"style/{i}"] for i in range(len(self.styles))]

    @property
    def size(self) -> int:
        """Returns the bytes of all pictures; counts repeated ones once."""
        pictures = [self.content, *self.styles, *self.others.values()]
        arrays = {
            id(array): array.nbytes
            for picture in pictures
            for array in (picture.pixels, picture.alpha)
            if array is not None
        }
        return sum(arrays.values())

    @property
    def notes(self) -> list[str]:
        """Lists notes for the user, such as on converted colors."""
        read = [self.content, *self.styles, *self.others.values()]
        notes = [note for picture in read for note in picture.notes]
        if os.environ.get("NST_TF_WEIGHTS"):
            notes.append(
                "NST_TF_WEIGHTS is set, but nst_tf ignores it now: VGG19 is "
                "bundled; for another file, use --weights=PATH"
            )
        return notes


def read_inputs(
    job: settings.Job, load: Callable[..., image_io.Picture] | None = None
) -> Inputs:
    """Reads the pictures that a job names.

    First it selects the job's device, since TensorFlow decodes some files.

    Args:
        job: The job.
        load: Function with the signature of `sources.load`; None: that
            function, without downloads in a dry run.

    Raises:
        ValueError: If a setting or a picture is invalid.
        TypeError: If a setting has the wrong type.
    """
    checks.check(job)
    device.choose(job.device, job.deterministic)
    if not job.content:
        raise ValueError("no content image; pass one with --content=PICTURE.")
    limit = job.max_megapixels
    load = load or functools.partial(sources.load, may_download=not job.dry_run)
    load = functools.partial(load, memory=job.memory * 1e9 or None)
    content = load(job.content, limit)
    parts = sources.expand_folders(job.style)
    names = [name for part in parts for name in part]
    named = list_named_pictures(job)
    return Inputs(
        content,
        tuple(load(name, limit) for name in names),
        [len(part) for part in parts],
        {
            name: load(source, limit, is_mask(name))
            for name, source in named.items()
        },
        {
            "content": job.content,
            **{f"style/{i}": name for i, name in enumerate(names)},
            **named,
        },
    )


def take_inputs(
    job: settings.Job,
    content: arrays.ImageLike,
    styles: arrays.ImageLike | Sequence[arrays.ImageLike],
    given: Mapping[str, image_io.Picture],
) -> Inputs:
    """Reads or checks the pictures that a caller passes.

    Args:
        job: The job; its content and style are ignored.
        content: As in `api.stylize`.
        styles: As in `api.stylize`.
        given: The pictures of `list_named_pictures` that are arrays, by name.

    Raises:
        ValueError: If an image has a wrong shape or wrong values.
        TypeError: If an image has a wrong type.
    """
    checks.check(job)
    device.choose(job.device, job.deterministic)
    limit, memory = job.max_megapixels, job.memory * 1e9 or None
    read = arrays.as_picture(content, "content", limit, memory)
    several: Sequence[Any] = (
        styles if isinstance(styles, (list, tuple)) else [styles]
    )
    parts = sources.expand_folders(several)
    many = [each for part in parts for each in part]
    named = list_named_pictures(job)
    return Inputs(
        read,
        tuple(arrays.as_picture(each, "style", limit, memory) for each in many),
        [len(part) for part in parts],
        {
            name: given[name]
            if name in given
            else sources.load(source, limit, is_mask(name), memory=memory)
            for name, source in named.items()
        },
        {
            "content": arrays.name_source(content),
            **{f"style/{i}": arrays.name_source(e) for i, e in enumerate(many)},
            **named,
        },
    )


def load_network(job: settings.Job) -> weight_files.NetworkWeights:
    """Reads the network weights; downloads them if needed, not in a dry run.

    Raises:
        ValueError: If the weights are missing, or belong to another network.
    """
    load = (
        weight_files.load_without_download if job.dry_run else weight_files.load
    )
    return load(job.extractor, job.weights)


def list_input_files(job: settings.Job, inputs: Inputs) -> list[str]:
    """Lists the input files of a job, which must never be overwritten."""
    names = [*inputs.sources.values(), job.rerun]
    if not settings.is_keyword("weights", job.weights):
        names.append(job.weights)
    return [name for name in names if name and sources.is_file(name)]


def is_mask(name: str) -> bool:
    """Returns whether a name of `list_named_pictures` is that of a mask."""
    return name.partition("/")[0] in settings.MASKS


def list_named_pictures(job: settings.Job) -> dict[str, str]:
    """Lists the pictures of a job other than content and style.

    Returns:
        The path or address of each picture, by the name of its setting; style
        masks are "style_mask/0" and so on. Arrays have the path "array".
    """
    named: dict[str, str] = {}
    # Masks of the content first, then masks of each style.
    for several in (False, True):
        for name in filter(settings.MASKS.__contains__, settings.FIELDS):
            value = getattr(job, name)
            if several and isinstance(value, tuple):
                named |= {f"{name}/{i}": each for i, each in enumerate(value)}
            elif value and not several and isinstance(value, str):
                named[name] = value
    for name in filter(settings.STARTS.__contains__, settings.FIELDS):
        value = getattr(job, name)
        if value and not settings.is_keyword(name, value):
            named[name] = value
    return named
