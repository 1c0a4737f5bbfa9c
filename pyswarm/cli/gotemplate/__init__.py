"""The part of Go's text/template that people use with Docker's --format.

Fields and their chains, variables, pipelines, parentheses, `if`, `else if`, `with`, `range` (also over `$key, $value`),
comments and trimming, and the functions in `functions`. Pure: text and parsed JSON in, text out.
"""

from pyswarm.cli.gotemplate.errors import TemplateError
from pyswarm.cli.gotemplate.parse import Template
from pyswarm.cli.gotemplate.values import Duration, Moment, NoValue, Row, show, to_json

__all__ = ["Duration", "Moment", "NoValue", "Row", "Template", "TemplateError", "show", "to_json"]
