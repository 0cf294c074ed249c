"""Compiled functions that are reused: whatever differs is given to them.

TensorFlow compiles a function for the objects that it sees: their tensors are
part of the graph, and other objects need another graph. Here objects are taken
apart, into their structure, on which a graph is built, and their tensors,
variables and numbers, with which it is called. All objects of one structure
share a graph, which keeps none of them alive.

A class says that its objects can be taken apart, by `by_value`. What any other
object reads, such as a loss that a caller wrote, is not known; a function of it
is compiled anew.
"""

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

# That a graph takes, in Python and in TensorFlow, for each operation in it.
OPERATION_BYTES = 20_000

Kind = TypeVar("Kind", bound=type)


class _Rule(NamedTuple):
    """What becomes of the attributes of a class's objects."""

    numbers: Sequence[str] = ()
    varying: Sequence[str] = ()
    omitted: Sequence[str] = ()


_RULES: dict[type, _Rule] = {}
_SHARED: set[type] = {np.ndarray}
# Attributes of every `tf.Module`, which say nothing of it, and others that
# begin so.
_OF_MODULES = frozenset(vars(tf.Module()))
_OF_TRACKING = "_self_"
_PLAIN = (type(None), bool, int, float, str, tf.DType, tf.TensorShape)


def by_value(
    *,
    numbers: Sequence[str] = (),
    varying: Sequence[str] = (),
    omitted: Sequence[str] = (),
) -> Callable[[Kind], Kind]:
    """Decorates a class whose objects can be taken apart; not its subclasses.

    Law: what their methods read is in their attributes, and these are tensors
    and variables, which are inputs of a graph; plain values, which are part of
    it; arrays, known by their identity; such objects; and lists, tuples and
    dictionaries of these.

    Args:
        numbers: Attributes that are Python's numbers, and inputs all the same:
            a graph sees tensors, [], of float64.
        varying: Attributes that are tensors with any number of rows.
        omitted: Attributes that no graph reads.
    """

    def decorate(kind: Kind) -> Kind:
        _RULES[kind] = _Rule(numbers, varying, omitted)
        return kind

    return decorate


def by_identity(kind: Kind) -> Kind:
    """Decorates a class whose objects never change: graphs see them as is."""
    _SHARED.add(kind)
    return kind


class Compiler:
    """Compiles functions of objects, and keeps the graphs.

    Attributes:
        traces: How many graphs were built.
    """

    def __init__(self) -> None:
        self._graphs: dict[Hashable, _Graph] = {}
        self.traces = 0

    @property
    def size(self) -> int:
        """About how many bytes the graphs take that are kept."""
        return sum(graph.size for graph in self._graphs.values())

    def bind(
        self, function: Callable[..., Any], *objects: Any
    ) -> Callable[[], Any]:
        """Compiles a function of objects, when it is first called.

        Args:
            function: Objects -> tensors, in any nest; a function of a module,
                since a graph of it is found by its identity.
            *objects: What it is called with.

        Returns:
            It without arguments. It keeps the objects alive.
        """

        def counted(*given: Any) -> Any:
            self.traces += 1
            return function(*given)

        parts = _Parts()
        structure = tuple(parts.separate(each) for each in objects)
        if not parts.are_known:
            return tf.function(lambda: counted(*objects), autograph=False)
        key = function, structure, tuple(parts.specs)
        graph = self._graphs.get(key)
        if graph is None:
            graph = self._graphs[key] = _Graph(counted, structure, parts.specs)
        return _Bound(graph, parts.inputs, objects)


class _Graph:
    """A function, compiled for a structure of objects."""

    def __init__(
        self,
        function: Callable[..., Any],
        structure: Sequence[Any],
        specs: Sequence[tf.TypeSpec],
    ):
        self._specs = specs
        self._compiled = tf.function(
            lambda *inputs: function(*_rebuild(structure, inputs)),
            autograph=False,
        )
        self._concrete: Any = None

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        if self._concrete is None:
            return 0
        return OPERATION_BYTES * len(self._concrete.graph.get_operations())

    def count_traces(self) -> int:
        """Counts how often it was traced: once, after the first call."""
        count: int = self._compiled.experimental_get_tracing_count()
        return count

    def trace(self) -> Any:
        """Returns what was compiled; compiles it if nothing was."""
        if self._concrete is None:
            self._concrete = self._compiled.get_concrete_function(*self._specs)
        return self._concrete


class _Bound:
    """A compiled function of some objects, as a `tf.function` of nothing."""

    def __init__(
        self, graph: _Graph, inputs: Sequence[Any], objects: Sequence[Any]
    ):
        self._graph = graph
        self._inputs = inputs
        self._objects = objects  # images of the host live as long as these

    def __call__(self) -> Any:
        """Calls it."""
        return self._graph.trace()(*self._inputs)

    def get_concrete_function(self) -> Any:
        """Returns what was compiled."""
        return self._graph.trace()

    def experimental_get_tracing_count(self) -> int:
        """Counts how often the function was traced for this structure."""
        return self._graph.count_traces()


@dataclasses.dataclass(frozen=True)
class _Input:
    """Stands for an input, by its number."""

    number: int


class _Shared:
    """An object that is known by its identity."""

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shared) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


@dataclasses.dataclass(frozen=True)
class _Made:
    """An object of a class, or a collection, and its parts."""

    kind: type
    parts: tuple[tuple[Any, Any], ...]  # name or key, and structure


@dataclasses.dataclass(frozen=True)
class _Again:
    """An object that came before, by its number among those."""

    number: int


class _Parts:
    """Takes objects apart.

    Attributes:
        inputs: Their tensors and variables, each once.
        specs: Of the inputs.
        are_known: Whether all could be taken apart.
    """

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.specs: list[tf.TypeSpec] = []
        self.are_known = True
        self._numbers: dict[int, _Input | _Again] = {}  # by identity
        self._count = 0

    def separate(self, thing: Any, is_varying: bool = False) -> Hashable:
        """Returns the structure of an object; adds to the inputs."""
        kind = type(thing)
        if id(thing) in self._numbers:
            return self._numbers[id(thing)]
        if isinstance(thing, (tf.Tensor, tf.Variable)):
            found = self._numbers[id(thing)] = self._add(thing, is_varying)
            return found
        if isinstance(thing, _PLAIN):
            return kind, thing
        if kind in _SHARED:
            return _Shared(thing)
        if kind in (list, tuple):
            return _Made(kind, tuple(("", self.separate(e)) for e in thing))
        if isinstance(thing, dict):  # or what a tf.Module makes of it
            items = thing.items()
            return _Made(dict, tuple((k, self.separate(e)) for k, e in items))
        if kind in _RULES:
            made = self._separate_attributes(thing, _RULES[kind])
            self._numbers[id(thing)] = _Again(self._count)
            self._count += 1
            return made
        self.are_known = False
        return None

    def _separate_attributes(self, thing: Any, rule: _Rule) -> _Made:
        """Returns the structure of an object that can be taken apart."""
        parts: list[tuple[str, Hashable]] = []
        for name, value in _list_attributes(thing):
            if name in rule.omitted:
                continue
            if name in rule.numbers:
                number = tf.convert_to_tensor(value, tf.float64)
                parts.append((name, self._add(number)))
            else:
                part = self.separate(value, name in rule.varying)
                parts.append((name, part))
        return _Made(type(thing), tuple(parts))

    def _add(self, value: Any, is_varying: bool = False) -> _Input:
        """Adds an input."""
        shape = value.shape
        if isinstance(value, tf.Variable):
            spec = tf.type_spec_from_value(value)
        else:
            if is_varying:
                shape = tf.TensorShape([None, *shape[1:]])
            spec = tf.TensorSpec(shape, value.dtype)
        self.inputs.append(value)
        self.specs.append(spec)
        return _Input(len(self.inputs) - 1)


def _list_attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """Lists the attributes of an object, or the fields of a named tuple."""
    if isinstance(thing, tuple):
        return zip(thing._fields, thing, strict=True)  # type: ignore
    return (
        (name, value)
        for name, value in vars(thing).items()
        if name not in _OF_MODULES and not name.startswith(_OF_TRACKING)
    )


def _rebuild(structure: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Makes objects of a structure from inputs."""
    before: list[Any] = []

    def rebuild(part: Any) -> Any:
        if isinstance(part, _Input):
            return inputs[part.number]
        if isinstance(part, _Again):
            return before[part.number]
        if isinstance(part, _Shared):
            return part.thing
        if not isinstance(part, _Made):
            _, value = part
            return value
        kind, parts = part.kind, part.parts
        values = [(name, rebuild(each)) for name, each in parts]
        if kind is dict:
            return dict(values)
        if kind in (list, tuple):
            return kind(value for _, value in values)
        if issubclass(kind, tuple):
            made: Any = tuple.__new__(kind, (value for _, value in values))
        else:
            made = object.__new__(kind)
            vars(made).update(values)
        before.append(made)
        return made

    return [rebuild(part) for part in structure]
