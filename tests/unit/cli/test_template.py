import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyswarm.cli.inspected import api_field
from pyswarm.cli.template import Row, Template, TemplateError, show, to_json

NODE = {
    "ID": "n1",
    "CreatedAt": "2026-11-21T07:06:20.5Z",
    "Spec": {"Role": "manager", "Labels": {"zone": "a", "disk": "ssd"}},
    "Plugins": [{"Type": "Log", "Name": "awslogs"}, {"Type": "Net", "Name": "bridge"}],
    "Leader": True,
    "Count": 3,
    "StopGracePeriod": 90_000_000_000,
}


def render(text: str) -> str:
    return Template(text).render(NODE, api_field)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{{.ID}} {{ .Spec.Role }}", "n1 manager"),
        ("{{.Leader}} {{.Count}}", "true 3"),
        ("{{.Spec.Labels}}", "map[disk:ssd zone:a]"),
        ("{{.Spec.Labels.zone}}|{{.Spec.Labels.none}}", "a|<no value>"),
        ('{{index .Spec.Labels "zone"}}|{{index .Spec.Labels "none"}}', "a|"),
        ("{{(index .Plugins 1).Name}}", "bridge"),
        ("{{range .Plugins}}{{.Type}},{{end}}", "Log,Net,"),
        ("{{range $i, $p := .Plugins}}{{$i}}={{$p.Name}} {{end}}", "0=awslogs 1=bridge "),
        ("{{range $k, $v := .Spec.Labels}}{{$k}}:{{$v}};{{end}}", "disk:ssd;zone:a;"),
        ("{{range .Mounts}}x{{else}}none{{end}}", "none"),
        ("{{range .Plugins}}{{$.ID}}{{end}}", "n1n1"),
        ('{{if eq .Spec.Role "worker"}}W{{else if .Leader}}L{{else}}M{{end}}', "L"),
        ("{{with $s := .Spec}}{{$s.Role}} {{.Role}}{{else}}none{{end}}", "manager manager"),
        ("{{with .UpdateStatus}}{{.State}}{{else}}none{{end}}", "none"),
        ("{{$x := .ID}}{{$x}}{{$x = .Count}}{{$x}}", "n13"),
        ("a {{- /* a comment */ -}} b", "ab"),
        ("a {{- .ID -}} \n b", "an1b"),
        ("a {{-   .ID   -}} b{{ /* }} {{ */ }}{{/**/}}", "an1b"),
        ('{{"a\\"}}b"}}{{`"}}\\`}}', 'a"}}b"}}\\'),
        ("{{upper .ID}} {{.Spec.Role | title}} {{lower `ABC`}}", "N1 Manager abc"),
        ('{{join (split "a:b" ":") "-"}} {{split "a:b" ":"}}', "a-b [a b]"),
        ('{{printf "%-5s|%3d|%q" .ID .Count .ID}}', 'n1   |  3|"n1"'),
        ('{{println .ID 1}}{{print 1 2 "a" "b" 3}}', "n1 1\n1 2ab3"),
        ("{{pad .ID 1 2}}|{{truncate .Spec.Role 3}}|{{len .Plugins}}", " n1  |man|2"),
        ('{{and 1 0}} {{or 0 "x"}} {{not 1}} {{gt 2 1}} {{le 1 1}} {{ne 1 2}}', "0 x false true true true"),
        ("{{json .Spec.Labels}}", '{"zone":"a","disk":"ssd"}'),
        ('{{"a\\tb"}}', "a\tb"),
        ('{{"}}"}}', "}}"),
        ("{{.CreatedAt}}", "2026-11-21 07:06:20.5 +0000 UTC"),
        ("{{.StopGracePeriod}} {{json .StopGracePeriod}}", "1m30s 90000000000"),
        ("{{.Hostname}}|{{.Slot}}|{{.ReadOnly}}|{{.Env}}|{{.UpdateStatus}}", "|0|false|[]|<nil>"),
        ("{{.Retries}}|{{.Interval}}|{{.TTY}}|{{.CapabilityAdd}}|{{.Healthcheck}}", "0|0s|false|[]|<nil>"),
    ],
)
def test_a_template_is_rendered_as_go_renders_it(template, text):
    assert render(template) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Foo}}", "can't evaluate field Foo: there is ID, CreatedAt"),
        ("{{.Spec.Nope}}", "can't evaluate field Nope"),
        ("{{.UpdateStatus.State}}", "can't evaluate field State: UpdateStatus is nil"),
        ("{{.ID.Name}}", "can't evaluate field Name: ID is string"),
        ("{{.ID", "unclosed action"),
        ('{{"}} {{.ID}}', "unclosed action"),
        ("{{`}} {{.ID}}", "unclosed action"),
        ("{{/* }} {{.ID}}", "unclosed action"),
        ("{{/* a */ .ID}}", "comment ends before closing delimiter"),
        ("{{if .ID}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{nope .ID}}", 'function "nope" not defined'),
        ("{{(.ID}}", "unclosed left paren"),
        ("{{.ID)}}", "unexpected"),
        ("{{}}", "missing value"),
        ("{{.ID .ID}}", "can't give arguments"),
        ("{{$x}}", 'undefined variable "$x"'),
        ("{{.ID ? 1}}", "unexpected '?'"),
        ("{{index .Plugins 9}}", "index out of range"),
        ("{{upper .Count}}", "error calling upper"),
        ("{{upper}}", "error calling upper"),
        ("{{and}}", "error calling and"),
        ("{{lt .ID 1}}", "error calling lt"),
        ("{{range .ID}}{{end}}", "range can't iterate over string"),
        ("{{x := 1}}", "unexpected assignment"),
    ],
)
def test_a_bad_template_is_refused_and_says_why(template, message):
    with pytest.raises(TemplateError) as refused:
        render(template)
    assert refused.value.message.startswith("template parsing error: ")
    assert message in refused.value.message


@given(st.text())
def test_any_text_is_a_template_or_refused(text):
    try:
        rendered = render(text)
    except TemplateError:
        return
    assert "{{" in text or rendered == text


@given(st.text(alphabet="{}.$ |()\"'`,:=azID1-\\%/*rangeifwthdjso"))
def test_any_nonsense_between_braces_is_rendered_or_refused(text):
    with suppress(TemplateError):
        assert isinstance(render(f"{{{{{text}}}}}"), str)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_json_is_what_was_given_and_without_blanks_outside_strings(value):
    assert json.loads(to_json(value)) == value
    assert isinstance(show(value), str)


def test_a_row_is_encoded_in_order_and_safe_for_html():
    assert to_json(Row(b="*:80->80/tcp", a="<&>")) == '{"a":"\\u003c\\u0026\\u003e","b":"*:80-\\u003e80/tcp"}'
    assert Template("{{json .b}}").render(Row(b="->")) == '"->"'


def test_headings_pass_through_functions_that_would_change_them():
    template = Template("{{upper .Name}}\t{{truncate .ID 3}}\t{{json .Ports}}\t{{pad .Name 1 1}}")
    assert template.heading({"Name": "NAME", "ID": "LONG ID", "Ports": "PORTS"}) == "NAME\tLONG ID\tPORTS\t NAME "
