"""The part of Go's text/template that people use with Docker.

Fields and their chains, variables, pipelines, parentheses, `if`, `else if`, `with`, `range` (also over `$key, $value`),
comments and trimming, and Go's own functions, beside which a caller puts its own. Pure: text and values in, text out.
"""

from core.gotemplate.budget import Budget
from core.gotemplate.errors import BudgetSpent, TemplateError
from core.gotemplate.functions import BUILTINS, Functions
from core.gotemplate.parse import Template
from core.gotemplate.values import Lookup, NoValue, Printed, Value, field, show

__all__ = [
    "BUILTINS",
    "Budget",
    "BudgetSpent",
    "Functions",
    "Lookup",
    "NoValue",
    "Printed",
    "Template",
    "TemplateError",
    "Value",
    "field",
    "show",
]
