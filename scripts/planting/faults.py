"""Lists small faults that could be planted in a module, and plants one."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

LENGTH = 72  # characters of a description's halves
BOUNDS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
}
OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    **{ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot},
    **{ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In},
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div},
    **{ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv},
    **{ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
    **{ast.LShift: ast.RShift, ast.RShift: ast.LShift},
}
_PAIRS = (
    *(("min", "max"), ("minimum", "maximum"), ("any", "all")),
    *(("reduce_min", "reduce_max"), ("reduce_any", "reduce_all")),
    *(("reduce_sum", "reduce_mean"), ("sum", "mean"), ("floor", "ceil")),
    *(("argmin", "argmax"), ("zeros_like", "ones_like"), ("zeros", "ones")),
    *(("startswith", "endswith"), ("removeprefix", "removesuffix")),
)
BUILT_IN = ("min", "max", "any", "all")
NAMES = {**dict(_PAIRS), **{new: old for old, new in _PAIRS}}
COMMUTATIVE = (
    *("min", "max", "minimum", "maximum", "add", "multiply", "hypot"),
    "suppress",  # of errors
)
IN_CONTEXT = (ast.Constant, ast.Slice, ast.UnaryOp)
LEFT_OUT = ("annotation", "returns", "decorator_list", "bases", "keywords")
# Keyword arguments that change no result where the code is right, or text only.
WITHOUT_EFFECT = (
    *("strict", "autograph", "reduce_retracing", "name", "encoding"),
    *("stacklevel", "help", "description", "trainable"),
)
LOGS = ("debug", "info", "warning", "error", "exception", "print", "say")


class Fault(NamedTuple):
    """A fault of a module: `number` is its place in `list_faults`."""

    module: str
    line: int
    function: str
    text: str
    number: int

    @property
    def key(self) -> str:
        """Names the fault; the line has no part in it."""
        return f"{self.module}: {self.function}: {self.text}"


class _Scope(NamedTuple):
    """A function, or what is outside of all; and its local names, by line."""

    name: str = ""
    local_names: tuple[tuple[int, str], ...] = ()


OUTSIDE = _Scope()


class _Site(NamedTuple):
    """A node, where it hangs (a list and an index, a node and a field)."""

    holder: Any
    key: Any
    old: ast.AST
    new: ast.AST
    text: str
    scope: _Scope


def collect_required(paths: list[Path]) -> dict[str, set[str]]:
    """Collects the parameters that have no default, by function or class."""
    required: dict[str, set[str]] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                required.setdefault(node.name, set()).update(_needed(node))
            if isinstance(node, ast.ClassDef):
                found = required.setdefault(node.name, set())
                for each in node.body:
                    if isinstance(each, ast.AnnAssign) and not each.value:
                        found.add(ast.unparse(each.target))
                    elif getattr(each, "name", "") == "__init__":
                        found.update(_needed(each))
    return required


def list_faults(
    module: str, source: str, required: Mapping[str, set[str]]
) -> list[Fault]:
    """Lists all faults of a module, in the order of its source."""
    return [
        Fault(
            module,
            getattr(site.old, "lineno", 0),
            site.scope.name or "module",
            site.text,
            number,
        )
        for number, site in enumerate(_sites(ast.parse(source), required))
    ]


def plant(source: str, number: int, required: Mapping[str, set[str]]) -> str:
    """Returns the source with the fault of a number, without comments."""
    tree = ast.parse(source)
    for place, site in enumerate(_sites(tree, required)):
        if place == number:
            if isinstance(site.holder, list):
                site.holder[site.key] = site.new
            else:
                setattr(site.holder, site.key, site.new)
            return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    raise ValueError(f"fault {number} is not among those of the module.")


def _needed(function: Any) -> set[str]:
    """Returns the names of a function's parameters without a default."""
    every = function.args
    places = [*every.posonlyargs, *every.args]
    names = places[: len(places) - len(every.defaults)] + [
        each
        for each, default in zip(
            every.kwonlyargs, every.kw_defaults, strict=True
        )
        if default is None
    ]
    return {each.arg for each in names}


def _sites(
    tree: ast.AST, required: Mapping[str, set[str]], scope: _Scope = OUTSIDE
) -> Iterator[_Site]:
    """Yields a site for each fault below a node."""
    for field, value in ast.iter_fields(tree):
        if field in LEFT_OUT and not (
            field == "keywords" and isinstance(tree, ast.Call)
        ):
            continue
        nodes = value if isinstance(value, list) else [value]
        for index, node in enumerate(nodes):
            if not isinstance(node, ast.AST) or _is_text(node):
                continue
            holder, key = (value, index) if value is not node else (tree, field)
            before = _describe(node)
            for text, new in _alter(node, required, scope):
                after = _describe(new)
                if not text:
                    text = f"{before} -> {after}"
                    if isinstance(node, IN_CONTEXT):
                        text += f" in {_describe(tree)}"
                if before != after or text.startswith("never"):
                    yield _Site(holder, key, node, new, text, scope)
            yield from _sites(node, required, _enter(node, scope))


def _describe(node: ast.AST) -> str:
    """Writes the first line of a node, shortened."""
    try:
        first, *_ = ast.unparse(node).splitlines() or [""]
    except AttributeError:  # arguments and the like, apart from their function
        return type(node).__name__
    return first if len(first) <= LENGTH else first[: LENGTH - 3] + "..."


def _enter(node: ast.AST, scope: _Scope) -> _Scope:
    """Enters a function or class, or stays."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef):
        return scope
    name = f"{scope.name}.{node.name}".lstrip(".")
    if isinstance(node, ast.ClassDef):
        return _Scope(name)
    stored = {
        (each.lineno, each.id if isinstance(each, ast.Name) else each.arg)
        for each in ast.walk(node)
        if isinstance(each, ast.arg)
        or (isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
    }
    kept = [pair for pair in stored if pair[1] not in ("self", "_")]
    return _Scope(name, tuple(sorted(kept)))


def _is_text(node: ast.AST) -> bool:
    """Tells whether a node is for people: a docstring, an error, a log."""
    left_out = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
    if isinstance(node, left_out):
        return True
    if isinstance(node, ast.keyword):
        return node.arg in WITHOUT_EFFECT
    if isinstance(node, ast.If):
        return ast.unparse(node.test).startswith(("TYPE_CHECK", "__name__"))
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True
    called = getattr(node.value, "func", None)
    return getattr(called, "attr", getattr(called, "id", "")) in LOGS


def _alter(
    node: ast.AST, required: Mapping[str, set[str]], scope: _Scope
) -> Iterator[tuple[str, ast.AST]]:
    """Yields faulty forms of a node, with a text where no diff describes it."""
    if isinstance(node, ast.Constant):
        yield from (("", ast.Constant(each)) for each in _numbers(node.value))
    if not scope.local_names and "." not in scope.name:
        return  # outside of functions constants alone
    for change in (_alter_operator, _alter_branch, _alter_statement):
        yield from change(node)
    if isinstance(node, ast.Call):
        yield from _alter_call(node, required)
    if isinstance(node, ast.Slice):
        for bound in ("lower", "upper"):
            if getattr(node, bound):
                yield "", _with(node, **{bound: None})
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Name):
        others = [
            name
            for line, name in scope.local_names
            if line < node.lineno and name != node.value.id
        ]
        if others:
            yield "", ast.Return(ast.Name(others[-1]))
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        one, two, *rest = [*node.value.elts, None, None]
        if two:
            elements = [two, one, *filter(None, rest)]
            yield "", ast.Return(_with(node.value, elts=elements))


def _numbers(value: object) -> list[bool | int | float]:
    """Returns what a number or truth value is changed into."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1 if value <= 16 else 2 * value]
    return [2 * value or 1.0] if isinstance(value, float) else []


def _with(node: ast.AST, **fields: Any) -> Any:
    """Copies a node with other fields."""
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def _alter_operator(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Swaps operators, drops operands."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for table in (BOUNDS, OPPOSITES):
                if type(operator) in table:
                    ops = [*node.ops]
                    ops[place] = table[type(operator)]()
                    yield "", _with(node, ops=ops)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "", _with(node, op=other)
        for place in range(len(node.values)):
            kept = node.values[:place] + node.values[place + 1 :]
            yield "", kept[0] if len(kept) == 1 else _with(node, values=kept)
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        sides = [getattr(node, side, None) for side in ("left", "right")]
        is_text = any(
            isinstance(side, ast.JoinedStr)
            or isinstance(getattr(side, "value", None), str)
            for side in sides
        )
        if type(node.op) in OPERATORS and not is_text:
            yield "", _with(node, op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp):
        yield "", node.operand


def _alter_branch(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Never enters a branch, or always."""
    if isinstance(node, ast.If | ast.While):
        first = _describe(node)
        yield f"never: {first}", _with(node, test=ast.Constant(False))
        if isinstance(node, ast.If) and node.orelse:
            yield f"always: {first}", _with(node, test=ast.Constant(True))
    elif isinstance(node, ast.IfExp):
        yield "", node.body
        yield "", node.orelse


def _alter_statement(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Drops a statement."""
    dropped = isinstance(node, ast.Continue | ast.Break) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    )
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        own = ast.unparse(target).startswith("self.")
        dropped = isinstance(target, ast.Attribute | ast.Subscript) and not own
    if dropped:
        yield f"dropped: {_describe(node)}", ast.Pass()


def _alter_call(
    node: ast.Call, required: Mapping[str, set[str]]
) -> Iterator[tuple[str, ast.AST]]:
    """Calls another function, or with other arguments."""
    func = node.func
    name = getattr(func, "attr", getattr(func, "id", ""))
    if name in NAMES and (isinstance(func, ast.Attribute) or name in BUILT_IN):
        field = "attr" if isinstance(func, ast.Attribute) else "id"
        yield "", _with(node, func=_with(func, **{field: NAMES[name]}))
    for place, keyword in enumerate(node.keywords):
        needed = keyword.arg is None or keyword.arg in required.get(name, ())
        if not needed and keyword.arg not in WITHOUT_EFFECT:
            kept = node.keywords[:place] + node.keywords[place + 1 :]
            yield (
                f"without {_describe(keyword)} in {_describe(node)}",
                _with(node, keywords=kept),
            )
    for place in range(0 if name in COMMUTATIVE else len(node.args) - 1):
        one, two = node.args[place : place + 2]
        if isinstance(one, ast.Name | ast.Attribute) and isinstance(
            two, ast.Name | ast.Attribute
        ):
            args = [*node.args[:place], two, one, *node.args[place + 2 :]]
            yield "", _with(node, args=args)
    if name == "range":
        *first, last = node.args
        less = ast.BinOp(last, ast.Sub(), ast.Constant(1))
        yield "", _with(node, args=[*first, less])
