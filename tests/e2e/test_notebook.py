"""The example notebook, executed as it is, on the private MySQL."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.places import REPO

NOTEBOOK = REPO / "examples" / "bring_your_own_embeddings.ipynb"
# What Oracle's notebook prints on MySQL AI.
PUBLISHED = {
    'dot("dog1", "dog1")': 1.0000005960464478,
    'dot("dog1", "dog2")': 0.9645994305610656,
    'dot("dog1", "cat")': 0.7443138360977173,
    'dot("dog1", "street")': 0.449489563703537,
}


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:(nbclient|jupyter_client|zmq|traitlets)")
def test_the_notebook_gives_the_published_values(server, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))  # not the user's own profile
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": NOTEBOOK.parent}}
    ).execute()
    printed = {
        cell.source: float(cell.outputs[0]["data"]["text/plain"].split()[-1])
        for cell in notebook.cells
        if cell.source in PUBLISHED
    }
    assert printed == {
        source: pytest.approx(value, abs=1e-5) for source, value in PUBLISHED.items()
    }
