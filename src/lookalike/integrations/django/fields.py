"""The field of a VECTOR column."""

import json
from typing import Any

import numpy as np
from django.core.exceptions import ValidationError
from django.db import models

from lookalike import LookalikeError
from lookalike.integrations.vectors import FloatArray, check_dim, pack, unpack


class _Nothing(list[Any]):
    """What counts as empty: None. Arrays cannot be looked up in a list of values."""

    def __contains__(self, value: object) -> bool:
        return value is None


class VectorField(models.Field):
    """A column of float32 vectors, read as arrays of shape (dimensions,).

    Forms leave it out.

    Args:
        dimensions: Number of dimensions, at most 16383.
    """

    description = "Vector"
    empty_strings_allowed = False
    empty_values = _Nothing([None])

    def __init__(self, *args: Any, dimensions: int | None = None, **keywords: Any) -> None:
        check_dim(dimensions, "VectorField")
        self.dimensions = dimensions
        super().__init__(*args, **keywords)

    def deconstruct(self) -> Any:
        """Return how a migration writes the field."""
        name, _, args, keywords = super().deconstruct()
        if self.dimensions is not None:
            keywords["dimensions"] = self.dimensions
        return name, "lookalike.integrations.django.VectorField", args, keywords

    def db_type(self, connection: Any) -> str:
        """Return the type as DDL writes it."""
        return "vector" if self.dimensions is None else f"vector({self.dimensions:d})"

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        """Return what makes bytes of the hexadecimal digits that are sent."""
        return "UNHEX(%s)"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Return a vector as hexadecimal digits; expressions stay as they are."""
        if value is None or hasattr(value, "as_sql"):
            return value
        return pack(value, self.dimensions).hex()

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """Return the SQL that reads a vector: drivers do not know the type."""
        return f"CAST({sql} AS BINARY)", params

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> FloatArray | None:
        """Return an array of the bytes that are read."""
        return None if value is None else unpack(value)

    def to_python(self, value: Any) -> FloatArray | None:
        """Return an array of a list, or of its JSON. Raises ValidationError for what is none."""
        if value is None:
            return None
        try:
            return unpack(pack(json.loads(value) if isinstance(value, str) else value, None))
        except (LookalikeError, ValueError) as error:
            raise ValidationError(str(error)) from error

    def value_to_string(self, obj: Any) -> str:
        """Return the vector as JSON, for serializers; the digits are those of float32."""
        value = self.value_from_object(obj)
        return json.dumps(None if value is None else np.asarray(value, np.float32).tolist())

    def formfield(self, **_: Any) -> None:
        """Return None: forms leave vectors out."""
