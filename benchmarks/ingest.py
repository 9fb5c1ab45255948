"""How quickly a folder of images is embedded and stored: `python -m benchmarks.ingest`.

    python -m benchmarks.ingest [--model efficientnet-lite2|clip|FOLDER|NAME] [--device cpu|cuda]
        [--batch-size N] [--images FOLDER] [--megapixels N] [--n N]

In one run, in turn, on the same files with the same model: the article's loop, lookalike, and the
model alone on images that are ready. Each is in a process of its own, whose start and whose loading
of the model are not counted. The MySQL is the benchmarks' own, in benchmarks/.cache.

`--model clip` is a CLIP ViT-B/32 of random weights, which computes as much as the real one.
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

import lookalike
from benchmarks import photographs
from benchmarks.dataset import CACHE
from benchmarks.server import STOCK_POOL, database, url
from lookalike.core.vectors import FloatArray
from lookalike.images.decode import open_image
from lookalike.models.base import BatchModel
from lookalike.models.clip.encoder import BatchEncoderModel
from lookalike.models.clip.precision import chosen_precision
from lookalike.models.registry import load_model

ROUNDS = 3
SAMPLE = 192  # images that the model alone embeds again and again
SECONDS = 5.0  # that it does so at least
EMBEDDED = "efficientnet-lite2"
SMALL = (300, 225)
LOOK_SECONDS = 0.5  # between two looks at the memory in use


@dataclass(frozen=True)
class Task:
    """What is measured; folder: of the image files."""

    model: str
    device: str | None
    batch_size: int | None
    folder: Path


@dataclass(frozen=True)
class Stored:
    """One run of lookalike: images a second, those of each stage, and the most bytes in use."""

    rate: float
    stages: Mapping[str, float]
    peak: float


def article(task: Task) -> float:
    """Images a second of the article's loop: open, encode, write an INSERT; one after another."""
    encode = encoder(task)
    files = sorted(task.folder.iterdir())
    encode(Image.open(files[0]).convert("RGB"))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with Path(folder, "embeddings.sql").open("w") as out:
            for file in files:
                embedding = encode(Image.open(file).convert("RGB"))
                text = ",".join(str(value) for value in embedding)
                out.write(
                    "INSERT INTO image_embeddings (image_name, embedding) "
                    f"VALUES ('{file.name}', STRING_TO_VECTOR('[{text}]'));\n"
                )
        return len(files) / (time.perf_counter() - start)


def encoder(task: Task) -> Callable[[Image.Image], FloatArray]:
    """What the article calls for each image: SentenceTransformer's `encode`."""
    if task.model == EMBEDDED:
        model = load_model(task.model)
        return lambda image: model.embed_images([image])[0]
    from sentence_transformers import SentenceTransformer

    transformer = SentenceTransformer(task.model, device=task.device, local_files_only=True)
    return lambda image: transformer.encode(image, show_progress_bar=False)


def add(task: Task, collection: str) -> tuple[float, dict[str, float]]:
    """Images a second of `collection.add`, and of each of its stages."""
    model = load_model(task.model, device=task.device)
    with lookalike.connect(url()) as db:
        photos = db.collection(collection, model=model)
        report = photos.add(task.folder, batch_size=task.batch_size)
    if report.failed:
        raise SystemExit(f"{len(report.failed)} files failed, the first: {report.failed[0]}")
    return report.images_per_second, dict(report.stages)


def alone(task: Task, exact: bool, *, seconds: float = SECONDS) -> tuple[float, FloatArray]:
    """Images a second of the model on pixels that are ready, and their embeddings.

    exact: in float32; otherwise in what the model chooses on this machine.
    """
    model = load_model(task.model, device=task.device)
    if not isinstance(model, BatchModel):
        raise SystemExit(f"{task.model} takes no batches of preprocessed images")
    embed = model.embed_batch
    if exact and isinstance(model, BatchEncoderModel):
        embed = model._tower.embed
    files = sorted(task.folder.iterdir())[:SAMPLE]
    side = model.preprocessing.short_side
    pixels = np.stack([model.preprocessing(open_image(f, short_side=side)) for f in files])
    size = task.batch_size or model.batch_size
    batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    embeddings = np.concatenate([embed(batch) for batch in batches])
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for batch in batches:
            embed(batch)
        done += len(pixels)
    return done / (time.perf_counter() - start), embeddings


def alone_exact(task: Task) -> tuple[float, FloatArray]:
    """The same in float32, where no choice of another arithmetic is on record."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOOKALIKE_CACHE"] = folder
        return alone(task, exact=True)


def apart(function: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """What a function returns in a process of its own, and the most bytes that it had in use."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sending, function, arguments))
    process.start()
    sending.close()
    peak = 0
    while not receiving.poll(LOOK_SECONDS):
        peak = max(peak, bytes_in_use(process.pid))
    try:
        return receiving.recv(), peak
    except EOFError:
        raise SystemExit(f"{function.__name__} has failed") from None
    finally:
        process.join()


def _send(sending: Connection, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    sending.send(function(*arguments))


def bytes_in_use(pid: int | None) -> int:
    """The memory of a process and all below it; what several of them share counts once."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            memory = process.memory_full_info()
        except psutil.Error:  # it has ended meanwhile
            continue
        total += getattr(memory, "pss", memory.uss)
    return total


def make_clip() -> Path:
    """A CLIP ViT-B/32 of random weights, saved once as SentenceTransformer saves."""
    folder = CACHE / "clip"
    if folder.is_dir():
        return folder
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    with tempfile.TemporaryDirectory() as name:
        raw = Path(name)
        letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
        tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
        tokens += ["<|startoftext|>", "<|endoftext|>"]
        raw.joinpath("vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
        raw.joinpath("merges.txt").write_text("#version: 0.2\n")
        files = {"vocab": str(raw / "vocab.json"), "merges": str(raw / "merges.txt")}
        torch.manual_seed(0)
        CLIPModel(CLIPConfig()).save_pretrained(raw)
        tokenizer = CLIPTokenizer(**files, model_max_length=77)
        CLIPProcessor(CLIPImageProcessorPil(), tokenizer).save_pretrained(raw)
        new = folder.with_name("clip.new")
        SentenceTransformer(modules=[Transformer(str(raw))]).save(str(new))
    new.rename(folder)
    return folder


def image_folder(megapixels: float | None, n: int | None, model: str) -> Path:
    """Files for a model: small images for the quick one, large photographs for the others."""
    size = SMALL
    if megapixels is not None or model != EMBEDDED:
        height = round(math.sqrt((megapixels or 3) * 2**20 * 3 / 4))
        size = (height * 4 // 3, height)
    n = n or (1500 if size == SMALL else 200)
    return photographs.make(CACHE / f"photographs-{size[0]}x{size[1]}-{n}", n, size)


def measure(task: Task) -> None:
    """Measure all, in turn, and print the tables."""
    apart(alone, task, False)  # chooses an arithmetic, and warms the files
    loops: list[float] = []
    runs: list[Stored] = []
    models: dict[str, list[float]] = {"float32": [], "chosen": []}
    with database(STOCK_POOL):
        for number in range(ROUNDS):
            loops.append(apart(article, task)[0])
            (rate, stages), peak = apart(add, task, f"ingest_{number}")
            runs.append(Stored(rate, stages, peak))
            (rate, exact), _ = apart(alone_exact, task)
            models["float32"].append(rate)
            (rate, chosen), _ = apart(alone, task, False)
            models["chosen"].append(rate)
    rates = {name: statistics.median(each) for name, each in models.items()}
    print(rates_table(statistics.median(loops), runs, rates, arithmetic_of(task)))
    print(stages_table(runs))
    peak = statistics.median(run.peak for run in runs)
    cosines = (exact * chosen).sum(1)
    cosines /= np.linalg.norm(exact, axis=1) * np.linalg.norm(chosen, axis=1)
    print(f"memory of lookalike and its children, at most: {peak / 2**20:,.0f} MB")
    print(f"cosine to float32: least {cosines.min():.5f}, median {np.median(cosines):.5f}")


def arithmetic_of(task: Task) -> str:
    chosen = chosen_precision(str(task.model), device=task.device)
    return chosen.name if chosen else "float32"


def rates_table(
    loop: float, runs: Sequence[Stored], models: Mapping[str, float], arithmetic: str
) -> str:
    """The Markdown table of images a second, with what the others are to them."""
    ours = statistics.median(run.rate for run in runs)
    rows = [("the article's loop", loop), ("lookalike", ours)]
    rows.append(("the model alone, float32", models["float32"]))
    if arithmetic != "float32":
        rows.append((f"the model alone, {arithmetic}", models["chosen"]))
    ceiling = rows[-1][1]
    lines = ["", "| | images/s | times the loop | of the model alone |", "|---|---:|---:|---:|"]
    for name, rate in rows:
        lines.append(f"| {name} | {rate:.1f} | {rate / loop:.2f} | {rate / ceiling:.2f} |")
    return "\n".join([*lines, ""])


def stages_table(runs: Sequence[Stored]) -> str:
    """The Markdown table of what each stage of lookalike can do by itself."""
    lines = ["| stage | images/s |", "|---|---:|"]
    for stage in runs[0].stages:
        rate = statistics.median(run.stages[stage] for run in runs)
        lines.append(f"| {stage} | {rate:,.1f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=EMBEDDED, help="a model's name or folder, or clip")
    parser.add_argument("--device", help="cpu or cuda; by default the best there is")
    parser.add_argument("--batch-size", type=int, help="by default what suits the model")
    parser.add_argument("--images", type=Path, help="a folder of image files, instead of made ones")
    parser.add_argument("--megapixels", type=float, help="of made images")
    parser.add_argument("--n", type=int, help="how many images are made")
    arguments = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    os.environ["LOOKALIKE_CACHE"] = str(CACHE / "models")
    model = str(make_clip()) if arguments.model == "clip" else arguments.model
    folder = arguments.images or image_folder(arguments.megapixels, arguments.n, arguments.model)
    task = Task(model, arguments.device, arguments.batch_size, folder.resolve())
    n = sum(1 for _ in folder.iterdir())
    print(
        f"{arguments.model}, {n:,} files of {folder.name}, medians of {ROUNDS} rounds", flush=True
    )
    measure(task)


if __name__ == "__main__":
    main()
