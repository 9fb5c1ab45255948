"""Use Oracle's vector store as its users do, and print what it finds as JSON.

Runs in `.venv-mysql-ai`. Arguments: the server's socket, a database, and 0 or 1 for autocommit.
"""

import json
import sys

import mysql.connector
from langchain_core.embeddings import Embeddings
from mysql.ai.genai import MyVectorStore

TEXTS = ["a cat", "a cat sits", "the dog barks", "two cats act", "zzz", "quartz", "a taco"]
QUERIES = ["a cat", "cats", "dogs bark", "xyz"]


class Letters(Embeddings):
    """How often each letter occurs."""

    def embed_query(self, text: str) -> list[float]:
        return [float(text.count(chr(ord("a") + i))) for i in range(26)]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


def main() -> None:
    socket, database, autocommit = sys.argv[1:]
    connection = mysql.connector.connect(
        unix_socket=socket,
        user="root",
        database=database,
        use_pure=True,
        autocommit=bool(int(autocommit)),
    )
    embedder = Letters()
    found, told = [], {"texts": TEXTS, "embeddings": embedder.embed_documents(TEXTS)}
    with MyVectorStore(connection, embedder) as store:
        told["nothing"] = store.similarity_search("a cat")
        ids = store.add_texts(TEXTS[:4], metadatas=[{"place": n} for n in range(4)])
        ids += store.add_texts(TEXTS[4:], ids=["four", "five", "six"])
        for options in (
            {},
            {"max_distance": 2, "percentage_distance": 100_000},
            {"max_distance": 0.2, "percentage_distance": 100_000},
            {"distance_metric": "EUCLIDEAN", "max_distance": 100, "percentage_distance": 50},
            {"distance_metric": "DOT", "max_distance": 0, "percentage_distance": 100},
        ):
            for query in QUERIES:
                documents = store.similarity_search(query, k=4, **options)
                found.append(
                    {
                        "query": embedder.embed_query(query),
                        "options": options,
                        "texts": [document.page_content for document in documents],
                        "ids": [document.id for document in documents],
                        "metadata": [document.metadata for document in documents],
                    }
                )
        store.delete(ids[:1])
        told["after_delete"] = [each.page_content for each in store.similarity_search("a cat", k=1)]
        store.delete(ids)
        told["emptied"] = store.similarity_search("a cat")
    cursor = connection.cursor()
    cursor.execute("SHOW TABLES")
    told |= {"ids": ids, "found": found, "tables_left": cursor.fetchall()}
    told["autocommit"] = connection.autocommit
    print(json.dumps(told))


if __name__ == "__main__":
    main()
