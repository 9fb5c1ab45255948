"""The names of a table of embeddings: of the table itself, its columns and its side tables."""

from dataclasses import dataclass

from lookalike.dialects.statement import quote_name

_PLAIN = frozenset({"id", "image_name", "embedding"})  # the article's: no keywords anywhere


@dataclass(frozen=True)
class Table:
    """A table with one embedding a row, by its names.

    Attributes:
        name: The table's name, which is the collection's.
        id_column: The column of its integer key.
        name_column: The column of the rows' names, None where it has none.
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
        """The table as an identifier. Raises InputError for a name that no collection can have."""
        return quote_name(self.name)

    def side(self, suffix: str) -> str:
        """Return a side table as an identifier, such as that of the suffix `_files`."""
        return quote_name(self.name, suffix)

    @property
    def id(self) -> str:
        """The key's column as an identifier."""
        return _identifier(self.id_column)

    @property
    def embedding(self) -> str:
        """The embeddings' column as an identifier."""
        return _identifier(self.embedding_column)

    def image_name(self, row: str = "") -> str:
        """Return the name of a row, such as `v.`, as an expression: NULL without a name column."""
        return "NULL" if self.name_column is None else row + _identifier(self.name_column)


def _identifier(column: str) -> str:
    return column if column in _PLAIN else "`" + column.replace("`", "``") + "`"
