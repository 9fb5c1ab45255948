"""A server with the native functions."""

import uuid

import pytest

import lookalike
from lookalike.database import native as native_module
from lookalike.dialects.native import NATIVE_FUNCTIONS, native_c


@pytest.fixture(scope="module")
def own_library():
    """A library that differs from all others: servers of other tests share the plugin folder."""
    source = native_c() + f'\nEXPORT const char lookalike_mark[] = "{uuid.uuid4()}";\n'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_module, "native_c", lambda: source)
        yield


@pytest.fixture
def bare(own_library, db):
    """A database on a server without native functions, before and after."""
    db.remove_native_functions()
    yield db
    db.remove_native_functions()


@pytest.fixture(scope="module")
def cleared(server, own_library):
    """Removes the native functions after a module's last test."""
    yield
    with lookalike.connect(server.url) as db:
        db.remove_native_functions()


@pytest.fixture
def native(cleared, db):
    """A database on a server with native functions."""
    assert db.install_native_functions() == [each.name for each in NATIVE_FUNCTIONS]
    return db
