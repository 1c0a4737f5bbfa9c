"""What whoever writes a template must not be able to do with it. What templates come to is with the command's tests."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gotemplate import BUILTINS, Budget, Template, TemplateError
from core.gotemplate.lexer import pieces, words


class Counted(str):
    """Counts the characters that are read by looking at one, or for a mark."""

    work = 0

    def __getitem__(self, key: Any) -> str:
        part = str(self)[key]
        self.work += 1 if isinstance(key, int) else len(part)
        return part

    def find(self, mark: str, start: Any = 0, end: Any = None) -> int:
        found = str(self).find(mark, start)
        self.work += (found + len(mark) if found >= 0 else len(self)) - start
        return found


nonsense = st.text(alphabet='{}"`\\/*- \nax', max_size=40)


@given(nonsense, nonsense, st.integers(1, 200))
def test_the_work_of_splitting_a_template_grows_as_its_length(start: str, repeated: str, times: int) -> None:
    text = start + repeated * times
    counted = Counted(text)
    whole = True
    try:
        list(pieces(counted))
    except TemplateError:
        whole = False
    assert counted.work <= 8 * len(text) + 8, "each character is read but a few times"
    assert counted.work >= len(text) or not whole, "and it is this text that is read"


@pytest.mark.parametrize("repeated", ["{{", '{{"', "{{ ", "{{/*", "{{a", "{{-", '{{"\\', "{{a}", "{{`a` "])
def test_actions_that_do_not_end_are_refused_however_many(repeated: str) -> None:
    with pytest.raises(TemplateError, match=r"unclosed action|comment ends"):
        Template(repeated * 20_000)


def test_a_long_action_is_split_into_all_its_words() -> None:
    assert len(words("a " * 200_000)) == 200_000


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ('{{$x := "0123456789"}}' + "{{$x = print $x $x}}" * 40, "it grows beyond"),
        ('{{$x := "0123456789"}}' + '{{$x = printf "%s%s" $x $x}}' * 40, "it grows beyond"),
        (
            '{{$x := "0123456789"}}' + '{{$x = printf "%q" $x}}' * 40 + "{{range $}}{{range $}}{{$x}}{{end}}{{end}}",
            "grows",
        ),
        ('{{$x := "0123456789"}}' + "{{$x = println $x $x}}" * 40, "it grows beyond"),
        ("{{range $}}" * 8 + "{{end}}" * 8, "it grows beyond"),
        ("{{range $}}" * 5 + "0123456789" * 100 + "{{end}}" * 5, "it grows beyond"),
        ('{{printf "%99999999999s" "x"}}', "printf: a width or precision has more than 6 digits"),
        ('{{printf "%.99999999999f" 1.0}}', "printf: a width or precision has more than 6 digits"),
        ("{{" + "9" * 5000 + "}}", "a number has too many digits"),
        ('{{printf "%d" ' + "9" * 4000 + ".0}}", "error calling printf: it does not take"),
    ],
)
def test_a_template_may_not_take_all_there_is(template: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        Template(template).render([1] * 50)


def test_a_verb_of_printf_that_does_not_end_is_text_however_long() -> None:
    text = "%" + "0" * 300_000
    assert Template(f'{{{{printf "{text}"}}}}').render(None) == text


def test_templates_that_share_a_budget_may_not_take_more_together() -> None:
    template, budget = Template("x" * (1 << 20)), Budget()
    for _ in range(7):
        template.render(None, budget=budget)
    with pytest.raises(TemplateError, match="it grows beyond"):
        template.render(None, budget=budget)
    assert len(template.render(None)) == 1 << 20


HIDDEN = "correct horse battery"
operations = st.sampled_from(
    [
        "{{index %s 0}}",
        "{{index .list %s}}",
        "{{range %s}}{{end}}",
        "{{(%s).Foo}}",
        "{{with %s}}{{.Foo}}{{end}}",
        "{{$x := %s}}{{$x.Foo}}",
        "{{slice %s %s}}",
        "{{lt %s 1}}",
        "{{len %s 1}}",
        "{{not %s 1}}",
        "{{printf 1 %s}}",
        "{{fail %s}}",
    ]
)


@given(operations, st.sampled_from(["(hidden)", "(print (hidden) (hidden))", '(printf "%q" (hidden))']))
def test_no_error_tells_a_value(operation: str, value: str) -> None:
    functions = {**BUILTINS, "hidden": lambda: HIDDEN, "fail": {}.__getitem__}
    template = Template(operation.replace("%s", value), functions)
    with pytest.raises(TemplateError) as refused:
        template.render({"list": [1]})
    assert "horse" not in str(refused.value)


def test_the_reason_of_an_error_is_short() -> None:
    with pytest.raises(TemplateError) as refused:
        Template("{{? " + "x" * 10_000 + "}}")
    assert len(refused.value.reason) < 1100
