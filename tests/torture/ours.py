"""The processes that use lookalike: those who add and delete, train, and search."""

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import lookalike
from lookalike import LookalikeError
from lookalike.core.errors import ConnectionFailed
from tests.torture import data
from tests.torture.actor import Actor, Lost, Rows
from tests.torture.journal import DONE, FAILED

SIZES = (1, 5, 50, 300, 1500)
KS = (1, 10, 10, 10, 30, 100)
QUERIES = 1000
OURS = ("writer", "trainer", "searcher", "prefill", "inspector")
"""How the names of the processes begin that use lookalike."""

TRACEBACK = "traceback"
"""The "error" of an action that has failed with anything but a LookalikeError."""


class Client(Actor):
    """A user of lookalike's Python API, each of whose calls goes into the journal."""

    _database: lookalike.Database | None = None

    def connect(self) -> None:
        self.close()
        self.do("connect", self._connect)

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._database is not None:
            with suppress(LookalikeError):
                self._database.close()

    def do(
        self, kind: str, operation: Callable[[], dict[str, Any]], **given: Any
    ) -> dict[str, Any] | None:
        """Do something, and return what the journal says of it; None where it was refused."""
        self.journal.begin(kind, given)
        try:
            result = operation()
        except ConnectionFailed as error:
            self.journal.end(FAILED, _told(error))
            raise Lost from error
        except LookalikeError as error:
            self.journal.end(FAILED, _told(error))
            return None
        except Exception as error:
            self.journal.end(FAILED, {"error": TRACEBACK, "says": traceback.format_exc()})
            raise Lost from error
        self.journal.end(DONE, result)
        return result

    def add(self, n: int) -> Rows:
        """Add a batch of n rows; return them, none where that has failed."""
        batch = self.new_batch()
        names, vectors = data.row_names(batch, n), data.embeddings(batch, n, self.target.dim)
        done = self.do(
            "add",
            lambda: {"ids": self.collection.add_embeddings(names, vectors)},
            batch=batch,
            n=n,
        )
        return list(zip(done["ids"], names, strict=True)) if done else []

    def delete(self, rows: Rows, *, one_by_one: bool = False) -> bool:
        """Delete rows; return whether they are gone."""
        ids = [row[0] for row in rows]
        call = (
            self.collection.remove if one_by_one else lambda *ids: self.collection.remove_rows(ids)
        )
        done = self.do(
            "delete", lambda: {"deleted": call(*ids)}, ids=ids, names=[row[1] for row in rows]
        )
        return done is not None

    def set_attributes(self, rows: Rows) -> None:
        """Give rows their attributes."""
        names = [row[1] for row in rows]
        given = [{"path": name, "shelf": data.shelf_of(name)} for name in names]
        self.do(
            "attributes",
            lambda: {"stored": self.collection.attributes.set(given).stored},
            names=names,
        )

    def search(self, number: int, k: int, *, step: str = "", **options: Any) -> None:
        """Search with a query of `data`. step: of the inspection at the end of a round."""
        vector = data.query(number, self.target.dim, self.target.metric)
        if (shelf := options.get("shelf")) is not None:
            keywords = {**options, "where": {"shelf": shelf}}
            del keywords["shelf"]
        else:
            keywords = options

        def found() -> dict[str, Any]:
            matches = self.collection.search(vector, k=k, **keywords)
            return {"matches": [(m.id, m.image_name, m.similarity) for m in matches]}

        self.do("search", found, query=number, k=k, step=step, **options)

    def train(self) -> bool:
        """Train the index; return whether it was trained."""
        done = self.do("train", lambda: {"trained": self.collection.index.build()})
        return done is not None and bool(done["trained"])

    def check(self, step: str) -> None:
        """Compare the index with the table."""

        def compared() -> dict[str, Any]:
            report = self.collection.index.check()
            return {"missing": report.missing, "stale": report.stale, "codes": report.codes}

        self.do("check", compared, step=step)

    @property
    def database(self) -> lookalike.Database:
        """The open connection."""
        assert self._database is not None
        return self._database

    def _connect(self) -> dict[str, Any]:
        target = self.target
        self._database = lookalike.connect(target.url)
        self.collection = self._database.collection(
            target.collection, dim=target.dim, metric=target.metric
        )
        return {}


class Writer(Client):
    """Adds, deletes and gives attributes to rows of its own, and deletes those of others."""

    _mine: Rows

    def connect(self) -> None:
        self._mine = getattr(self, "_mine", [])
        super().connect()

    def act(self) -> None:
        what = self.rng.random()
        if what < 0.55 or not self._mine:
            self._mine += self.add(self.rng.choice(SIZES))
        elif what < 0.75:
            rows = self._some(self.rng.choice((1, 20, 200)))
            if self.delete(rows, one_by_one=self.rng.random() < 0.3):
                gone = set(rows)
                self._mine = [row for row in self._mine if row not in gone]
        elif what < 0.9:
            self.set_attributes(self._some(100))
        else:
            self._delete_others()

    def _some(self, n: int) -> Rows:
        return self.rng.sample(self._mine, min(n, len(self._mine)))

    def _delete_others(self) -> None:
        table = self.target.collection
        found: Rows = []

        def look() -> dict[str, Any]:
            found.extend(
                self.database.rows(
                    f"SELECT id, image_name FROM {table} WHERE image_name LIKE %s "
                    "ORDER BY id DESC LIMIT 20",
                    ("foreign%",),
                )[1]
            )
            return {}

        self.do("look", look)
        if found:
            self.delete(found)


class Trainer(Client):
    """Trains the index again and again."""

    def act(self) -> None:
        self.train()
        time.sleep(self.rng.random() * 0.5)


class Searcher(Client):
    """Searches: through the index, exactly, with filters, and pages."""

    def act(self) -> None:
        options: dict[str, Any] = {"exact": self.rng.random() < 0.25}
        if self.rng.random() < 0.25:
            options["shelf"] = self.rng.randrange(data.SHELVES)
        elif self.rng.random() < 0.25:
            options["offset"] = self.rng.choice((5, 40))
        self.search(self.rng.randrange(QUERIES), self.rng.choice(KS), **options)


def _told(error: LookalikeError) -> dict[str, Any]:
    places = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    return {
        # By its public class: those of a server that went away are kinds of it.
        "error": (
            ConnectionFailed if isinstance(error, ConnectionFailed) else type(error)
        ).__name__,
        "code": getattr(error, "code", None),
        "says": str(error),
        "in": " > ".join(places[-8:-3]),
    }
