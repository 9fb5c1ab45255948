"""What LangChain asks of every vector store, on MySQL and MariaDB."""

import pytest
from langchain_tests.integration_tests.vectorstores import VectorStoreIntegrationTests

from lookalike.integrations.langchain import LookalikeVectorStore


class TestLangChain(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, db):
        return LookalikeVectorStore(self.get_embeddings(), database=db)
