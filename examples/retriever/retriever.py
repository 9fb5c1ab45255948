"""A LangChain retriever over images and captions: python examples/retriever/retriever.py "a cat"

The images are found by what they show; the captions are what a language model reads.
Needs the extra: pip install '.[langchain]'
"""

import csv
import sys
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough

from lookalike.integrations.langchain import LookalikeVectorStore

HERE = Path(__file__).parent
PHOTOS = HERE.parent / "photos"
PROMPT = ChatPromptTemplate.from_template("Answer from these captions.\n{images}\n\n{question}")


def open_store(database: str | None = None) -> LookalikeVectorStore:
    """Return the captioned images, added once; database: a URL, or the private MySQL."""
    store = LookalikeVectorStore(database=database, collection="captioned", model="auto")
    with (HERE / "captions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    store.add_images(
        [PHOTOS / row["file"] for row in rows],
        [{"place": row["place"]} for row in rows],
        captions=[row["caption"] for row in rows],
    )
    return store


def told(documents: list[Document]) -> str:
    """Return what the language model reads of the images."""
    return "\n".join(f"- {each.page_content} ({each.metadata['path']})" for each in documents)


def make_prompt(store: LookalikeVectorStore, **search: object) -> Runnable[str, object]:
    """Return the chain from a question to the prompt; add your model: make_prompt(...) | model."""
    retriever = store.as_retriever(search_kwargs=search)
    return {"images": retriever | told, "question": RunnablePassthrough()} | PROMPT


def main() -> None:
    question = " ".join(sys.argv[1:]) or "a cat"
    store = open_store()
    for document, score in store.similarity_search_with_score(question, k=3):
        print(f"{score:.2f}  {document.page_content}")
    print()
    prompt = make_prompt(store, k=2, filter={"place": "outdoors"}).invoke(question)
    print(prompt.to_string())
    store.close()


if __name__ == "__main__":
    main()
