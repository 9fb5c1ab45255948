"""The names of a table of embeddings, its columns and its side tables."""

from dataclasses import dataclass

from lookalike.dialects.statement import quote_name

_PLAIN = frozenset({"id", "image_name", "embedding"})  # the article's; never reserved words


@dataclass(frozen=True)
class Table:
    """Names of a table with one embedding per row.

    Attributes:
        name: Name of the table and the collection.
        id_column: Its integer key.
        name_column: Column with the rows' names; None if there is none.
        embedding_column: The VECTOR column.
    """

    name: str
    id_column: str = "id"
    name_column: str | None = "image_name"
    embedding_column: str = "embedding"

    def __str__(self) -> str:
        return self.name

    @property
    def sql(self) -> str:
        """Return the quoted table name. Raises InputError for an invalid name."""
        return quote_name(self.name)

    def side(self, suffix: str) -> str:
        """Return the quoted name of a side table; suffix: such as `_files`."""
        return quote_name(self.name, suffix)

    @property
    def id(self) -> str:
        """Return the quoted key column."""
        return _identifier(self.id_column)

    @property
    def embedding(self) -> str:
        """Return the quoted embedding column."""
        return _identifier(self.embedding_column)

    def image_name(self, row: str = "") -> str:
        """Return the SQL for a row's name, NULL without a name column; row: as `v.`."""
        return "NULL" if self.name_column is None else row + _identifier(self.name_column)


def _identifier(column: str) -> str:
    return column if column in _PLAIN else "`" + column.replace("`", "``") + "`"
