"""Whatever JSON holds; its shape is Docker's Engine API."""

from typing import Any

Json = Any
