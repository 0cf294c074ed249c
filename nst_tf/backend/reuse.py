"""Reuses compiled functions for other objects of the same structure.

By default, TensorFlow makes the tensors of an object constants of the graph,
so that each object needs its own graph. This module flattens objects: a graph
is built for their structure, and takes their tensors, variables and numbers as
inputs. All objects of one structure share a graph. The graph keeps no object
alive.

Classes are registered with `by_value`. Functions of other objects, such as a
caller's own loss, are compiled anew, since the module cannot tell which state
they read.
"""

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

# Memory of a graph per operation, in Python and in TensorFlow.
OPERATION_BYTES = 20_000

Kind = TypeVar("Kind", bound=type)


class _Rule(NamedTuple):
    """A rule for flattening the attributes of a class; see `by_value`."""

    numbers: Sequence[str] = ()
    varying: Sequence[str] = ()
    omitted: Sequence[str] = ()


_RULES: dict[type, _Rule] = {}
_SHARED: set[type] = {np.ndarray}
# Attributes that TensorFlow adds to modules: by name and by prefix.
_OF_MODULES = frozenset(vars(tf.Module()))
_OF_TRACKING = "_self_"
_PLAIN = (type(None), bool, int, float, str, tf.DType, tf.TensorShape)


def by_value(
    *,
    numbers: Sequence[str] = (),
    varying: Sequence[str] = (),
    omitted: Sequence[str] = (),
) -> Callable[[Kind], Kind]:
    """Registers a class, but not its subclasses, for flattening.

    Methods must read nothing but attributes. Attributes may be tensors and
    variables, which become inputs of a graph; plain values, which become part
    of the graph; arrays, which are compared by identity; objects of registered
    classes; and lists, tuples and dictionaries of these.

    Args:
        numbers: Names of Python numbers that become inputs: tensors, [],
            float64.
        varying: Names of tensors whose number of rows may vary.
        omitted: Names of attributes that no graph reads.
    """

    def decorate(kind: Kind) -> Kind:
        _RULES[kind] = _Rule(numbers, varying, omitted)
        return kind

    return decorate


def by_identity(kind: Kind) -> Kind:
    """Registers a class of immutable objects, compared by identity."""
    _SHARED.add(kind)
    return kind


class Compiler:
    """Compiles functions of objects and caches the graphs.

    Attributes:
        traces: The number of graphs built.
    """

    def __init__(self) -> None:
        self._graphs: dict[Hashable, _Graph] = {}
        self.traces = 0

    @property
    def size(self) -> int:
        """The approximate size of the cached graphs, in bytes."""
        return sum(graph.size for graph in self._graphs.values())

    def bind(
        self, function: Callable[..., Any], *objects: Any
    ) -> Callable[[], Any]:
        """Binds a function to objects; the first call compiles it.

        Args:
            function: Objects -> tensors, in any nest. Use a module's function:
                graphs are cached by the identity of the function.
            *objects: The arguments of the function.

        Returns:
            The compiled function, without arguments. It keeps the objects
            alive.
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
    """A function compiled for one structure of objects."""

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
        """The approximate size of the graph, in bytes."""
        if self._concrete is None:
            return 0
        return OPERATION_BYTES * len(self._concrete.graph.get_operations())

    def count_traces(self) -> int:
        """Returns how often the function was traced: 0 or 1."""
        count: int = self._compiled.experimental_get_tracing_count()
        return count

    def trace(self) -> Any:
        """Returns the concrete function; compiles it if necessary."""
        if self._concrete is None:
            self._concrete = self._compiled.get_concrete_function(*self._specs)
        return self._concrete


class _Bound:
    """A compiled function with its objects; like a `tf.function`."""

    def __init__(
        self, graph: _Graph, inputs: Sequence[Any], objects: Sequence[Any]
    ):
        self._graph = graph
        self._inputs = inputs
        self._objects = objects  # host images live as long as these

    def __call__(self) -> Any:
        """Calls the compiled function."""
        return self._graph.trace()(*self._inputs)

    def get_concrete_function(self) -> Any:
        """Returns the concrete function."""
        return self._graph.trace()

    def experimental_get_tracing_count(self) -> int:
        """Returns how often the function was traced for this structure."""
        return self._graph.count_traces()


@dataclasses.dataclass(frozen=True)
class _Input:
    """The place of an input in a structure, by the input's index."""

    number: int


class _Shared:
    """An object that is compared by identity."""

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shared) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


@dataclasses.dataclass(frozen=True)
class _Made:
    """The structure of an object or a collection."""

    kind: type
    parts: tuple[tuple[Any, Any], ...]  # (name or key, structure)


@dataclasses.dataclass(frozen=True)
class _Again:
    """A repeated object, by its index among the flattened objects."""

    number: int


class _Parts:
    """Flattens objects.

    Attributes:
        inputs: The tensors and variables of the objects, each once.
        specs: The type specs of the inputs.
        are_known: Whether all objects could be flattened.
    """

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.specs: list[tf.TypeSpec] = []
        self.are_known = True
        self._numbers: dict[int, _Input | _Again] = {}  # by identity
        self._count = 0

    def separate(self, thing: Any, is_varying: bool = False) -> Hashable:
        """Returns the structure of an object and adds its inputs."""
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
        if isinstance(thing, dict):  # or a wrapper by tf.Module
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
        """Separates the inputs of a registered object from its structure."""
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
        """Adds an input and its type spec."""
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
    """Builds objects from a structure and inputs."""
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
