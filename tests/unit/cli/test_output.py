import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyswarm.cli.output import Listing, aligned
from pyswarm.cli.template import Row, TemplateError

LISTING = Listing({"ID": "ID", "Name": "NAME", "Image": "IMAGE"}, raw={"id": "ID", "name": "Name"})
ROWS = [Row(ID="abc", Name="web", Image="busybox:latest"), Row(ID="def", Name="a-longer-name", Image="")]


def test_a_table_is_as_wide_as_what_is_in_it_and_at_least_ten():
    assert LISTING.render(ROWS).splitlines() == [
        "ID        NAME            IMAGE",
        "abc       web             busybox:latest",
        "def       a-longer-name   ",
    ]
    assert LISTING.render([]) == "ID        NAME      IMAGE\n"


def test_the_words_table_json_and_raw_are_formats():
    assert LISTING.render(ROWS, "table") == LISTING.render(ROWS)
    assert LISTING.render(ROWS[:1], "json") == '{"ID":"abc","Image":"busybox:latest","Name":"web"}\n'
    assert LISTING.render(ROWS[:1], "raw") == "id: abc\nname: web\n\n"


def test_a_template_has_headings_only_after_the_word_table():
    assert LISTING.render(ROWS, "{{.Name}}\\t{{.ID}}") == "web\tabc\na-longer-name\tdef\n"
    assert LISTING.render(ROWS, "table {{.Name}}\\t{{.ID}}").splitlines()[0] == "NAME            ID"
    assert LISTING.render(ROWS, "table {{.ID}} {{.Name}}").splitlines() == ["ID NAME", "abc web", "def a-longer-name"]


def test_quiet_shows_ids_unless_a_template_is_given():
    assert LISTING.render(ROWS, quiet=True) == "abc\ndef\n"
    assert LISTING.render(ROWS, "table", quiet=True) == "abc\ndef\n"
    assert LISTING.render(ROWS, "{{.Name}}", quiet=True) == "web\na-longer-name\n"
    assert LISTING.render([], quiet=True) == ""


def test_a_field_that_is_not_there_is_refused():
    with pytest.raises(TemplateError, match="can't evaluate field Foo: there is ID, Name, Image"):
        LISTING.render(ROWS, "{{.Foo}}")


@given(st.lists(st.lists(st.text(alphabet="ab ", max_size=20), min_size=3, max_size=3), min_size=1))
def test_columns_begin_below_one_another(cells):
    lines = aligned(cells)
    for column in range(3):
        begin = sum(max([10, *(len(line[i]) + 3 for line in cells)]) for i in range(column))
        for line, given_cells in zip(lines, cells, strict=True):
            assert line[begin : begin + len(given_cells[column])] == given_cells[column]
