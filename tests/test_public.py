import subprocess
import sys
from importlib import metadata

import lookalike


def test_public_names_are_sorted_and_there():
    assert lookalike.__all__ == sorted(lookalike.__all__)
    assert all(hasattr(lookalike, name) for name in lookalike.__all__)


def test_the_version_is_that_of_the_installed_package():
    assert lookalike.__version__ == metadata.version("lookalike")


def test_every_error_has_one_root():
    errors = [getattr(lookalike, name) for name in lookalike.__all__]
    errors = [e for e in errors if isinstance(e, type) and issubclass(e, Exception)]
    assert len(errors) == 11
    assert all(issubclass(error, lookalike.LookalikeError) for error in errors)


def loaded_by(code):
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_loads_no_model_library():
    heavy = {"torch", "onnx", "onnxruntime", "sentence_transformers", "transformers", "pandas"}
    assert not loaded_by("from lookalike import *; import lookalike.cli") & heavy


def test_a_process_that_decodes_images_starts_with_little():
    loaded = loaded_by("import lookalike.pipeline.decoder_process")
    assert not loaded & {"pymysql", "jinja2", "faiss", "lookalike.client", "lookalike.search"}


def test_the_host_program_stays_as_it_is(photos):
    """What other libraries share with the host is as it was, after the import and in use."""
    code = (
        "from PIL import Image as Pillow; from pymysql.connections import TEXT_TYPES; "
        "before = Pillow.MAX_IMAGE_PIXELS, set(TEXT_TYPES); "
        "from lookalike import *; from lookalike.images.decode import open_image; "
        f"from pathlib import Path; open_image(Path({str(photos / 'cat.jpg')!r})); "
        "import lookalike.database.connection; "
        "print(before == (Pillow.MAX_IMAGE_PIXELS, set(TEXT_TYPES)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
