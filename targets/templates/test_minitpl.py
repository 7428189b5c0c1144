"""What minitpl has to do, however it does it. Run with `python -m unittest`."""

# Plain unittest, so that the guard needs nothing installed.
# ruff: noqa: PT009, PT027

from __future__ import annotations

import unittest
from types import SimpleNamespace

from minitpl import Environment, Safe, TemplateError


def render(source: str, /, includes: dict[str, str] | None = None, **data: object) -> str:
    return Environment({"page": source, **(includes or {})}).render("page", data)


class Output(unittest.TestCase):
    def test_text_is_copied(self) -> None:
        for text in ("", "plain", "{ } {{'{{'}} %} }}", "a\nb\n", "ü ☃ \r\n"):
            self.assertEqual(render(text), text.replace("{{'{{'}}", "{{"))

    def test_special_characters_are_escaped(self) -> None:
        self.assertEqual(render("{{ x }}", x='<a href="?a&b">\''), "&lt;a href=&quot;?a&amp;b&quot;&gt;&#39;")

    def test_escaping_happens_once(self) -> None:
        self.assertEqual(render("{{ x }}", x="&amp;"), "&amp;amp;")
        self.assertEqual(render("{{ x|escape }}", x="<"), "&lt;")
        self.assertEqual(render("{{ x|escape|escape }}", x="<"), "&lt;")

    def test_safe_text_is_not_escaped(self) -> None:
        self.assertEqual(render("{{ x|safe }}{{ y }}{{ x }}", x="<b>", y=Safe("<i>")), "<b><i>&lt;b&gt;")

    def test_equal_values_of_different_types_print_differently(self) -> None:
        self.assertEqual(render("{{ a }} {{ b }} {{ c }}", a=1, b=True, c=1.0), "1 True 1.0")
        self.assertEqual(render("{{ a }}{{ b }}", a="<", b=Safe("<")), "&lt;<")
        self.assertEqual(render("{{ b }}{{ a }}", a="<", b=Safe("<")), "<&lt;")

    def test_values_that_cannot_be_hashed_print(self) -> None:
        self.assertEqual(render("{{ x }}", x=["<"]), "[&#39;&lt;&#39;]")

    def test_objects_that_change_print_their_present_state(self) -> None:
        class Counter:
            n = 0

            def __str__(self) -> str:
                self.n += 1
                return f"{self.n}"

        self.assertEqual(render("{{ c }}{{ c }}{{ c }}", c=Counter()), "123")

    def test_none_prints_nothing(self) -> None:
        self.assertEqual(render("[{{ x }}{{ none }}]", x=None), "[]")

    def test_comments_print_nothing(self) -> None:
        self.assertEqual(render("a{# {{ x }} {% if %} \n #}b"), "ab")

    def test_a_newline_after_a_statement_or_comment_is_dropped(self) -> None:
        self.assertEqual(render("{# c #}\n{% if true %}\n\nx{{ 1 }}\n{% endif %}\ny"), "\nx1\ny")

    def test_line_ends_are_kept(self) -> None:
        self.assertEqual(render("a\r\nb\r{{ x }}", x="\r\n"), "a\r\nb\r\r\n")


class Expressions(unittest.TestCase):
    def test_literals(self) -> None:
        self.assertEqual(
            render("{{ 12 }} {{ 1.5 }} {{ 'a' }} {{ \"b\" }} {{ true }} {{ false }}"), "12 1.5 a b True False"
        )

    def test_arithmetic_and_precedence(self) -> None:
        self.assertEqual(
            render("{{ 2 + 3 * 4 }} {{ (2 + 3) * 4 }} {{ 7 / 2 }} {{ 7 % 4 }} {{ 1 - -2 - 3 }}"), "14 20 3.5 3 0"
        )

    def test_comparisons(self) -> None:
        source = "{{ 1 < 2 }} {{ 2 <= 1 }} {{ x == 'a' }} {{ x != 'a' }} {{ 2 > 1 }} {{ 1 >= 2 }} {{ x in 'cab' }}"
        self.assertEqual(render(source, x="a"), "True False True False True False True")

    def test_logic_yields_an_operand(self) -> None:
        self.assertEqual(render("{{ 0 or 'a' }} {{ 1 and 'b' }} {{ not 1 or 'c' }} {{ not (1 and 0) }}"), "a b c True")

    def test_logic_stops_early(self) -> None:
        self.assertEqual(render("{{ true or missing }} {{ false and missing }}"), "True False")

    def test_attributes(self) -> None:
        data = {"m": {"k": {"1": "one"}}, "xs": ["a", ["b", "c"]], "o": SimpleNamespace(f=5)}
        self.assertEqual(render("{{ m.k.1 }} {{ xs.0 }} {{ xs.1.1 }} {{ o.f }}", **data), "one a c 5")

    def test_mapping_entries_come_before_methods(self) -> None:
        self.assertEqual(render("{{ m.items }}", m={"items": 3}), "3")

    def test_each_filter(self) -> None:
        cases = {
            "x|default('d')": "d",
            "''|default('d')": "d",
            "0|default('d')": "0",
            "xs|first": "b",
            "xs|last": "c",
            "xs|join": "bac",
            "xs|join(', ')": "b, a, c",
            "xs|sort|join('')": "abc",
            "xs|length": "3",
            "'AbC'|lower": "abc",
            "'abc'|upper": "ABC",
            "'ab cd'|title": "Ab Cd",
            "' a '|trim": "a",
            "1234567.891|money": "1,234,567.89",
            "2.567|round(1)": "2.6",
            "'a-b-c'|replace('-', '+')": "a+b+c",
            "'abcdef'|truncate(4)": "abc…",
            "'abcd'|truncate(4)": "abcd",
        }
        for expression, printed in cases.items():
            with self.subTest(expression):
                self.assertEqual(render("{{ " + expression + " }}", x=None, xs=["b", "a", "c"]), printed)

    def test_filters_bind_tighter_than_operators(self) -> None:
        self.assertEqual(render("{{ 'a' + 'b'|upper }}{{ -1|round }}"), "aB-1")

    def test_own_filters_come_first(self) -> None:
        env = Environment({"page": "{{ 3|twice }}{{ 3|upper }}"}, {"twice": lambda x: x * 2, "upper": lambda x: "mine"})
        self.assertEqual(env.render("page", {}), "6mine")
        self.assertEqual(render("{{ 'a'|upper }}"), "A")


class Statements(unittest.TestCase):
    def test_if_takes_the_first_true_branch(self) -> None:
        source = "{% if x > 2 %}big{% elif x > 1 %}{% elif x > 0 %}small{% else %}none{% endif %}."
        self.assertEqual([render(source, x=x) for x in (3, 2, 1, 0)], ["big.", ".", "small.", "none."])

    def test_for_runs_over_any_iterable(self) -> None:
        for items in (["a", "b"], ("a", "b"), "ab", {"a": 1, "b": 2}, iter("ab")):
            self.assertEqual(render("{% for x in xs %}{{ x }},{% else %}none{% endfor %}", xs=items), "a,b,")
        for items in ([], (), "", {}, iter("")):
            self.assertEqual(render("{% for x in xs %}{{ x }},{% else %}none{% endfor %}", xs=items), "none")

    def test_loop_tells_the_position(self) -> None:
        source = "{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} "
        self.assertEqual(render("{% for x in xs %}" + source + "{% endfor %}", xs="ab"), "10TrueFalse2 21FalseTrue2 ")

    def test_loop_belongs_to_the_innermost_for(self) -> None:
        source = "{% for x in xs %}{% for y in xs %}{{ y }}{% endfor %}{{ loop.index }}{% endfor %}"
        self.assertEqual(render(source, xs="ab"), "ab1ab2")

    def test_an_included_template_sees_loop_and_variables(self) -> None:
        source = "{% set s = '-' %}{% for x in xs %}{% include 'i' %}{% endfor %}"
        self.assertEqual(render(source, {"i": "{{ loop.index }}{{ x }}{{ s }}"}, xs="ab"), "1a-2b-")

    def test_a_loop_variable_is_gone_after_the_loop(self) -> None:
        self.assertEqual(render("{% for x in xs %}{{ x }}{% endfor %}{{ x }}", xs="ab", x="!"), "ab!")
        with self.assertRaises(TemplateError):
            render("{% for x in xs %}{% endfor %}{{ x }}", xs="ab")
        with self.assertRaises(TemplateError):
            render("{% for x in xs %}{% endfor %}{{ loop.index }}", xs="ab")

    def test_set_in_a_loop_lasts_for_one_turn(self) -> None:
        source = "{% for x in xs %}{% if x == 'b' %}{% set s = 'set' %}{% endif %}{{ s }},{% endfor %}{{ s }}"
        self.assertEqual(render(source, xs="abc", s="old"), "old,set,old,old")

    def test_set_in_an_if_lasts(self) -> None:
        self.assertEqual(render("{% if true %}{% set s = 1 + 1 %}{% endif %}{{ s }}", s=0), "2")

    def test_set_in_an_include_does_not_leak(self) -> None:
        included = {"i": "{% set s = 2 %}{% for x in 'ab' %}{% else %}{% endfor %}{{ s }}"}
        self.assertEqual(render("{% set s = 1 %}{% include 'i' %}{{ s }}", included), "21")

    def test_set_in_the_else_of_a_loop_lasts(self) -> None:
        self.assertEqual(render("{% for x in '' %}{% else %}{% set s = 1 %}{% endfor %}{{ s }}"), "1")

    def test_templates_may_include_themselves(self) -> None:
        tree = {"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}
        source = "{{ node.v }}({% for kid in node.kids %}{% set node = kid %}{% include 'page' %}{% endfor %})"
        self.assertEqual(render(source, node=tree), "1(2()3(4()))")

    def test_names_may_be_python_words(self) -> None:
        names = ["class", "lambda", "render", "get", "scope"]
        source = "".join("{{ " + name + " }}" for name in names)
        self.assertEqual(render(source, **dict.fromkeys(names, 1)), "11111")


class Environments(unittest.TestCase):
    def test_rendering_does_not_change_the_data(self) -> None:
        data = {"x": 1, "xs": [3, 1]}
        env = Environment({"page": "{% set x = 2 %}{% set y = 2 %}{% for x in xs|sort %}{{ x }}{% endfor %}{{ x }}"})
        self.assertEqual(env.render("page", data), "132")
        self.assertEqual(data, {"x": 1, "xs": [3, 1]})

    def test_renders_are_independent(self) -> None:
        env = Environment({"page": "{{ x|default('-') }}{% set x = 5 %}", "p2": "{{ x }}"})
        self.assertEqual([env.render("page", {"x": x}) for x in (1, None, 2)], ["1", "-", "2"])
        with self.assertRaises(TemplateError):
            env.render("p2", {})

    def test_environments_are_independent(self) -> None:
        self.assertEqual([render("{% include 'i' %}", {"i": text}) for text in ("a", "b")], ["a", "b"])

    def test_many_templates_take_turns(self) -> None:
        env = Environment({f"t{k}": f"{k}:{{{{ x }}}}" for k in range(150)})
        for _ in range(2):
            for k in range(150):
                self.assertEqual(env.render(f"t{k}", {"x": k}), f"{k}:{k}")

    def test_large_pages(self) -> None:
        numbers = list(range(5000))
        self.assertEqual(render("{% for n in ns %}{{ n }},{% endfor %}", ns=numbers), "".join(f"{n}," for n in numbers))


class Mistakes(unittest.TestCase):
    def test_mistakes_in_the_template(self) -> None:
        for source in (
            "{{ x",
            "a {% if x",
            "{# no end",
            "{{ a {% if b %}",
            "{{ }}",
            "{{ x y }}",
            "{{ (1 }}",
            "{{ 1 + }}",
            "{{ x|nothing }}",
            "{{ x. }}",
            "{{ 'a }}",
            "{{ x ? y }}",
            "{% if true %}",
            "{% for x in 'a' %}",
            "{% endif %}",
            "{% for in xs %}{% endfor %}",
            "{% for true in 'a' %}{% endfor %}",
            "{% for x of 'a' %}{% endfor %}",
            "{% set x %}",
            "{% set 1 = 1 %}",
            "{% include x %}",
            "{% nonsense %}",
            "{% %}",
        ):
            with self.subTest(source), self.assertRaises(TemplateError):
                render(source, x=1)

    def test_mistakes_name_the_line(self) -> None:
        for source in ("a\nb {# \n #}\n{{ x| }}", "\n\n{% if true %}\n{% nonsense %}", "\n{{ 1 }}\n\n{{ x"):
            with self.subTest(source), self.assertRaisesRegex(TemplateError, "^line 4: "):
                render(source, x=1)

    def test_mistakes_in_the_data(self) -> None:
        for source in (
            "{{ missing }}",
            "{{ missing|default(1) }}",
            "{{ x.missing }}",
            "{{ xs.2 }}",
            "{{ xs.__class__ }}",
            "{{ o.missing }}",
            "{% for y in x %}{% endfor %}",
            "{{ x + 'a' }}",
            "{{ x / 0 }}",
            "{{ -xs }}",
            "{{ x|length }}",
            "{{ 'a'|money }}",
            "{{ ''|first }}",
            "{{ x|upper(1) }}",
            "{% if missing %}{% endif %}",
            "{% include 'missing' %}",
            "{% include 'page' %}",
        ):
            with self.subTest(source), self.assertRaises(TemplateError):
                render(source, x=1, xs=[1, 2], o=SimpleNamespace(f=1))

    def test_an_environment_survives_a_mistake(self) -> None:
        env = Environment({"page": "{% for x in xs %}{{ 1 / x }}{% endfor %}"})
        with self.assertRaises(TemplateError):
            env.render("page", {"xs": [1, 0]})
        self.assertEqual(env.render("page", {"xs": [1]}), "1.0")


if __name__ == "__main__":
    unittest.main()
