"""Models by name, without the clip extra or the Hub."""

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike.core.errors import MissingExtra, ModelError
from lookalike.models.registry import KNOWN_MODELS, load_model


@pytest.fixture
def without_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    missing = {"sentence_transformers", "torch"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else real(name)
    )


def test_importing_the_registry_loads_no_runtime() -> None:
    code = (
        "import sys, lookalike.models; "
        "print({'onnx', 'onnxruntime', 'torch', 'transformers'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


@pytest.mark.parametrize(
    "name",
    ["", "foo", "resnet50", "Efficientnet-Lite2", "a/b/c", "a b/c", "x" * 5000, "a\0b", "~x"],
)
def test_an_unknown_name_is_refused_with_what_is_known(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name)
    message = str(caught.value)
    assert message.startswith(f"unknown model {name!r}: choose auto, ")
    assert all(known in message for known in KNOWN_MODELS)
    assert len(message.splitlines()) == 1


def test_a_path_that_is_no_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path, file, tmp_path / "none", "photo.jpg", "./none", ".."):
        with pytest.raises(ModelError, match="is not a model; give a folder written by Sentence"):
            load_model(str(name))


@pytest.mark.usefixtures("without_clip")
@pytest.mark.parametrize(
    "name", ["clip-ViT-B-32", "clip-ViT-L-14", "sentence-transformers/clip-ViT-B-16", "me/mine"]
)
def test_clip_without_its_extra_says_how_to_get_it(name: str) -> None:
    with pytest.raises(MissingExtra, match=r"needs an extra: \S+ -m pip install .*\[clip\]"):
        load_model(name)


@pytest.mark.usefixtures("without_clip")
def test_a_saved_model_without_the_extra_says_how_to_get_it(tmp_path: Path) -> None:
    tmp_path.joinpath("modules.json").write_text("[]")
    with pytest.raises(MissingExtra, match=r"-m pip install .*\[clip\]"):
        load_model(str(tmp_path))


@pytest.mark.usefixtures("without_clip")
def test_auto_without_the_extra_is_the_embedded_model_and_says_so() -> None:
    said: list[str] = []
    assert load_model("auto", notify=said.append).id == "efficientnet-lite2"
    (line,) = said
    assert line.startswith(
        "using the embedded model efficientnet-lite2, because the model clip-ViT-B-32 needs an "
        f"extra: {sys.executable} -m pip install "
    )
    assert line.endswith("torch from its CPU index first: docs/installing.md)")


@pytest.mark.usefixtures("without_clip")
def test_auto_speaks_through_the_log_by_default(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lookalike.models"):
        load_model()
    assert [record.message[:30] for record in caplog.records] == ["using the embedded model effic"]


def test_the_embedded_model_says_nothing() -> None:
    said: list[str] = []
    assert load_model("efficientnet-lite2", notify=said.append).dim == 1280
    assert said == []


def test_the_embedded_model_knows_the_cpu_only() -> None:
    assert load_model("efficientnet-lite2", device="cpu").id == "efficientnet-lite2"
    with pytest.raises(ModelError, match=r"efficientnet-lite2 runs on the CPU only, not on 'cuda'"):
        load_model("efficientnet-lite2", device="cuda")
