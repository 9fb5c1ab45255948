"""What Alembic needs to know: `context.configure(include_name=..., render_item=...)`."""

from typing import Any, Literal

from lookalike.integrations.sqlalchemy.vector import VECTOR

PREFIX = "lookalike_"


def include_name(name: str | None, type_: str, parent_names: Any) -> bool:
    """Return False for lookalike's own tables, so that autogenerate does not drop them."""
    return not (type_ == "table" and name is not None and name.startswith(PREFIX))


def render_item(type_: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Return how a migration writes a VECTOR, with its import; False for everything else."""
    if type_ != "type" or not isinstance(item, VECTOR):
        return False
    autogen_context.imports.add("from lookalike.integrations.sqlalchemy import VECTOR")
    return repr(item)
