"""The names of a table of embeddings, its columns and its side tables."""

from dataclasses import dataclass, field

from lookalike.dialects.statement import quote_name

_PLAIN = frozenset({"id", "image_name", "embedding"})  # the article's; never reserved words


@dataclass(frozen=True)
class Source:
    """Where the rows of a user's own table are: lookalike never alters it.

    Attributes:
        schema: Its database; None for lookalike's own.
        table: Its name; for a mapped key the view that joins it to its mapping table.
        key_index: Name of the unique index of its key; None for a view.
        has_log: Whether triggers log its changes.
        is_mapped: Whether a mapping table numbers its keys.
        has_integers: Whether its keys are integers, mapped or not.
        title: What users call it.
    """

    schema: str | None
    table: str
    key_index: str | None = "PRIMARY"
    has_log: bool = False
    is_mapped: bool = False
    has_integers: bool = True
    title: str = ""

    @property
    def sql(self) -> str:
        """Return the quoted name, with its database."""
        table = identifier(self.table)
        return table if self.schema is None else f"{identifier(self.schema)}.{table}"


@dataclass(frozen=True)
class Table:
    """Names of a table with one embedding per row.

    Attributes:
        name: Name of the table and the collection; of a user's own table, the key of its records
            and the beginning of its side tables' names.
        id_column: Its integer key.
        name_column: Column with the rows' names; None if there is none.
        embedding_column: The VECTOR column.
        source: Where the rows are, for a user's own table.
        shards: The servers that its rows are spread over; empty for a table of one server.
    """

    name: str
    id_column: str = "id"
    name_column: str | None = "image_name"
    embedding_column: str = "embedding"
    source: Source | None = field(default=None, kw_only=True)
    shards: tuple[str, ...] = field(default=(), kw_only=True)

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """What users call it."""
        return self.source.title if self.source else self.name

    @property
    def sql(self) -> str:
        """Return the quoted table name. Raises InputError for an invalid name."""
        return self.source.sql if self.source else quote_name(self.name)

    @property
    def is_this(self) -> tuple[str, tuple[str, ...]]:
        """Return the condition for its row in information_schema, and the bound values."""
        if self.source is None:
            return "table_schema = DATABASE() AND table_name = %s", (self.name,)
        if self.source.schema is None:
            return "table_schema = DATABASE() AND table_name = %s", (self.source.table,)
        return "table_schema = %s AND table_name = %s", (self.source.schema, self.source.table)

    @property
    def by_key(self) -> str:
        """Return the hint to read rows in the order of their key."""
        index = self.source.key_index if self.source else "PRIMARY"
        if index is None:
            return ""
        return f"FORCE INDEX ({'PRIMARY' if index == 'PRIMARY' else identifier(index)})"

    @property
    def log(self) -> str | None:
        """Return the quoted name of the log that triggers write; None if there is none."""
        return self.side("_changes") if self.source and self.source.has_log else None

    @property
    def keys(self) -> str | None:
        """Return the quoted name of the table that numbers its keys; None if there is none."""
        return self.side("_keys") if self.source and self.source.is_mapped else None

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


def identifier(name: str) -> str:
    """Return any name as a quoted identifier."""
    return "`" + name.replace("`", "``") + "`"


def _identifier(column: str) -> str:
    return column if column in _PLAIN else identifier(column)
