"""A set of templates that may include each other."""

from __future__ import annotations

from collections import ChainMap, OrderedDict
from collections.abc import Callable, Mapping

from . import closures, codegen, interpret
from .errors import TemplateError
from .filters import BUILTIN
from .nodes import Node
from .output import open_output
from .parser import names_set_by, parse
from .scope import Scope, open_scope

# How a parsed template is turned into a page.
STRATEGY = "interpret"  # one of: interpret, closures, codegen

# How many parsed templates an environment remembers, least recently used out first; 0: none.
TEMPLATE_CACHE = 2  # range: 0 .. 64

Write = Callable[[str], object]


class Template:
    def __init__(self, nodes: tuple[Node, ...], env: Environment) -> None:
        self.names = names_set_by(nodes)
        build = {"interpret": interpret.build, "closures": closures.build, "codegen": codegen.build}[STRATEGY]
        self.run: Callable[[Scope, Write], object] = build(nodes, env)


class Environment:
    def __init__(
        self,
        sources: Mapping[str, str],
        filters: Mapping[str, Callable[..., object]] | None = None,
        max_depth: int = 50,
    ) -> None:
        """`filters` come before the built-in ones; `max_depth` bounds includes within includes."""
        self._sources = dict(sources)
        self.filters: ChainMap[str, Callable[..., object]] = ChainMap(dict(filters or {}), BUILTIN)
        self._max_depth = max_depth
        self._templates: OrderedDict[str, Template] = OrderedDict()

    def render(self, name: str, data: Mapping[str, object]) -> str:
        write, page = open_output()
        self.template(name).run(open_scope(data), write)
        return page()

    def template(self, name: str) -> Template:
        if name in self._templates:
            self._templates.move_to_end(name)
            return self._templates[name]
        if name not in self._sources:
            raise TemplateError(f"there is no template '{name}'")
        template = Template(parse(self._sources[name], self.filters), self)
        if TEMPLATE_CACHE:
            self._templates[name] = template
            if len(self._templates) > TEMPLATE_CACHE:
                self._templates.popitem(last=False)
        return template

    def include(self, name: str, scope: Scope, write: Write) -> None:
        if scope.depth >= self._max_depth:
            raise TemplateError(f"'{name}' is included more than {self._max_depth} deep")
        template = self.template(name)
        scope.depth += 1
        scope.enter(template.names)
        scope.begin()
        template.run(scope, write)
        scope.leave()
        scope.depth -= 1
