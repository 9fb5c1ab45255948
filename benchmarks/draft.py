"""What it costs in accuracy, and wins in time, to decode a JPEG to a part of its size.

Wallpapers and photographs of at least 2 megapixels become 12-megapixel JPEGs of quality 90; each is
decoded whole and scaled as `open_image` does, with several least sizes, and embedded.
"""

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.embedded_model_mean import fetch
from benchmarks.real_images import samples, wallpapers
from lookalike.core.errors import ImageError
from lookalike.images import decode as images
from lookalike.images.decode import open_image
from lookalike.models.efficientnet.model import EfficientNetLite2

CACHE = Path(__file__).parent / ".cache"
SIZE = (4000, 3000)
LEAST_SIDE = 1200  # pixels, of an original
FACTORS = (1, 2, 3)


def photographs(folder: Path) -> list[bytes]:
    """The 12-megapixel JPEGs."""
    found = []
    for picture in (*wallpapers(folder), *samples(folder)):
        try:
            image = open_image(picture.source, name=picture.name)
        except ImageError:
            continue
        if min(image.size) >= LEAST_SIDE:
            scale = min(image.width / SIZE[0], image.height / SIZE[1])
            box = (0, 0, SIZE[0] * scale, SIZE[1] * scale)
            file = io.BytesIO()
            image.resize(SIZE, Image.Resampling.LANCZOS, box=box).save(file, "JPEG", quality=90)
            found.append(file.getvalue())
    return found


def main() -> None:
    model = EfficientNetLite2()
    folder = CACHE / "sources"
    if not folder.is_dir():
        fetch(folder)
    files = photographs(folder)
    side = model.preprocessing.short_side
    cosines: dict[int, list[float]] = {factor: [] for factor in FACTORS}
    seconds: dict[int, list[float]] = {factor: [] for factor in (0, *FACTORS)}
    widths: dict[int, int] = {}
    for file in files:
        decoded = []
        for factor in seconds:
            images._DRAFT_FACTOR = factor
            started = time.process_time()
            decoded.append(open_image(file, short_side=side if factor else None))
            seconds[factor].append(time.process_time() - started)
            widths[factor] = decoded[-1].width
        full, *scaled = model.embed_images(decoded)
        for factor, embedding in zip(FACTORS, scaled, strict=True):
            norm = np.linalg.norm(full) * np.linalg.norm(embedding)
            cosines[factor].append(float(full @ embedding / norm))
    print(f"{len(files)} photographs of {SIZE[0]} x {SIZE[1]}, JPEG quality 90\n")
    print("| least short side | decoded to | ms | cosine, median | least | below 0.999 |")
    print("|---|---:|---:|---:|---:|---:|")
    print(f"| whole | {SIZE[0]} | {1000 * np.median(seconds[0]):.0f} | 1 | 1 | 0 |")
    for factor in FACTORS:
        found = np.array(cosines[factor])
        milliseconds = 1000 * np.median(seconds[factor])
        print(
            f"| {factor} x the model's | {widths[factor]} | {milliseconds:.0f} "
            f"| {np.median(found):.4f} | {found.min():.4f} | {(found < 0.999).sum()} |"
        )


if __name__ == "__main__":
    main()
