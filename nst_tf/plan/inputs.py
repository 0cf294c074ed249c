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
    """The pictures and the network that a job is made from, as they were read.

    Attributes:
        content: The content image.
        styles: The style images; in the place of a folder its pictures.
        counts: How many pictures each style is that the job names.
        others: Masks and starts, by the names of `list_named_pictures`.
        sources: Where each picture was read, by "content", "style/0" and so on,
            and the names of `others`; "array" for an array.
        network: The network's weights; None before `load_network`.
    """

    content: image_io.Picture
    styles: tuple[image_io.Picture, ...] = ()
    counts: Sequence[int] = ()
    others: Mapping[str, image_io.Picture] = {}
    sources: Mapping[str, str] = {}
    network: weight_files.NetworkWeights | None = None

    def list_style_sources(self) -> list[str]:
        """Lists where the style images were read."""
        return [self.sources[f"style/{i}"] for i in range(len(self.styles))]

    @property
    def size(self) -> int:
        """The bytes of all pictures; of one that is named twice, once."""
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
        """What could not be read in the best way."""
        read = [self.content, *self.styles, *self.others.values()]
        notes = [note for picture in read for note in picture.notes]
        if os.environ.get("NST_TF_WEIGHTS"):
            notes.append(
                "NST_TF_WEIGHTS is set, but no longer read: VGG19 ships with "
                "nst_tf; to take another file, use --weights=PATH"
            )
        return notes


def read_inputs(
    job: settings.Job,
    load: Callable[..., image_io.Picture] | None = None,
) -> Inputs:
    """Reads the pictures that a job names.

    Args:
        job: The job.
        load: As `sources.load`; that if None, which downloads nothing in a
            dry run.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
        TypeError: If a setting is of another type.
    """
    checks.check(job)
    device.choose(job.device, job.deterministic)
    if not job.content:
        raise ValueError(
            "no content image; name one with --content=PICTURE, or type nst-tf "
            "photo.jpg painting.jpg; nst-tf -h shows more."
        )
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
        job: The job; its content and style are not looked at.
        content: As in `api.stylize`.
        styles: As in `api.stylize`.
        given: Those of `list_named_pictures` that are arrays, by their names.

    Raises:
        ValueError: If an image is not as it should be.
        TypeError: Likewise.
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


def load_network(job: settings.Job, inputs: Inputs) -> Inputs:
    """Adds the network's weights, which may be downloaded, unless in a dry run.

    Raises:
        ValueError: If they are not there, or are of another network.
    """
    load = (
        weight_files.load_without_download if job.dry_run else weight_files.load
    )
    return inputs._replace(network=load(job.extractor, job.weights))


def list_input_files(job: settings.Job, inputs: Inputs) -> list[str]:
    """Lists the files that a job names, none of which is ever replaced."""
    names = [*inputs.sources.values(), job.rerun]
    if not settings.is_keyword("weights", job.weights):
        names.append(job.weights)
    return [name for name in names if name and sources.is_file(name)]


def is_mask(name: str) -> bool:
    """Whether a picture of `list_named_pictures` is a mask, by its name."""
    return name.partition("/")[0] in settings.MASKS


def list_named_pictures(job: settings.Job) -> dict[str, str]:
    """Lists the pictures besides content and style that a job names.

    Returns:
        Where each is, by its setting's name; of style masks, "style_mask/0" and
        so on. The source of an array is "array".
    """
    named: dict[str, str] = {}
    # Those of the content first, then those of each style.
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
