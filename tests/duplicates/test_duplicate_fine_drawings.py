"""Drawings of fine lines that are nearly alike: copies are found, others are not taken for one."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lookalike.duplicates import copies
from lookalike.duplicates.alike import MOST, NEAREST, cells_of, pairs_of_cells
from lookalike.duplicates.closer import CROPPED, DIFFERENT, WHOLE, _read, how_same
from lookalike.duplicates.copies import how_surely, without_contradictions

LANCZOS = Image.Resampling.LANCZOS
NEARLY_ALIKE = ((71, 5), (75, 5))


def star(points, step, size=100):
    """A star polygon: a line from each point on a circle to the one `step` further."""
    image = Image.new("RGB", (800, 800), "white")
    draw = ImageDraw.Draw(image)
    angles = 2 * np.pi * np.arange(points) / points
    ends = np.stack([400 + 380 * np.sin(angles), 400 - 380 * np.cos(angles)], axis=1)
    for place, end in enumerate(ends):
        draw.line([*end, *ends[(place + step) % points]], fill="black", width=4)
    return image.resize((size, size), LANCZOS)


COPIES = {
    "50%.png": lambda image, path: image.resize((50, 50), LANCZOS).save(path),
    "box.png": lambda image, path: image.resize((50, 50), Image.Resampling.BOX).save(path),
    "another-filter.png": lambda image, path: image.resize((75, 75), Image.Resampling.HAMMING).save(
        path
    ),
    "90.jpg": lambda image, path: image.save(path, quality=90),
    "30.jpg": lambda image, path: image.save(path, quality=30),
    "grey.jpg": lambda image, path: image.convert("L").save(path, quality=50),
    "full-colour.jpg": lambda image, path: image.save(path, quality=50, subsampling=0),
    "small.jpg": lambda image, path: image.resize((70, 70), LANCZOS).save(path, quality=60),
    "palette.png": lambda image, path: image.quantize(64).save(path),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_told_from_a_copy_of_another(copy, tmp_path):
    for points, step in NEARLY_ALIKE:
        star(points, step).save(tmp_path / f"{points}-{step}.png")
        COPIES[copy](star(points, step), tmp_path / f"{points}-{step}-{copy}")
    for one in NEARLY_ALIKE:
        for other in NEARLY_ALIKE:
            original = tmp_path / "{}-{}.png".format(*one)
            of_other = tmp_path / "{}-{}-{}".format(*other, copy)
            sure = how_surely(original, of_other, 1, agree=True)
            assert (sure != copies.DIFFERENT) == (one == other), (one, other)
            assert how_surely(of_other, original, 1, agree=True) == sure


def dots(seed):
    """Single pixels of light grey, of which a JPEG leaves little."""
    pixels = np.full((100, 100, 3), 255, np.uint8)
    pixels[np.random.default_rng(seed).random((100, 100)) < 0.1] = 200
    return Image.fromarray(pixels)


def test_an_exact_copy_is_one_however_much_it_differs(tmp_path):
    dots(0).save(tmp_path / "finest.png")
    dots(0).save(tmp_path / "copy.jpg", quality=30)
    dots(1).save(tmp_path / "other.jpg", quality=30)
    files = [tmp_path / name for name in ("finest.png", "copy.jpg", "other.jpg")]
    seen = [_read(file, (0, 0)) for file in files]
    sizes, loss = np.full((1, 2, 2), 100), np.array([seen[1].loss], np.float32)
    pixels = [picture.pixels[np.newaxis] for picture in seen]
    assert how_same(pixels[0], pixels[1], sizes, loss, 1)[0] == DIFFERENT
    assert how_surely(files[0], files[1], 1, agree=False) == copies.EXACT
    assert how_surely(files[0], files[2], 1, agree=False) == copies.DIFFERENT


def test_empty_pictures_are_copies_of_none(tmp_path):
    Image.new("RGB", (100, 100), "white").save(tmp_path / "one.png")
    Image.new("RGB", (50, 50), "white").save(tmp_path / "other.png")
    files = tmp_path / "one.png", tmp_path / "other.png"
    assert how_surely(*files, 1, agree=False) == copies.DIFFERENT


def test_a_turned_copy_is_one_where_turns_are_asked_for(tmp_path):
    card = Image.new("RGB", (120, 160), "white")
    card.paste(star(71, 9), (20, 10))
    card.save(tmp_path / "card.png")
    card.resize((60, 80), LANCZOS).transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / "turned.png"
    )
    assert (
        how_surely(tmp_path / "card.png", tmp_path / "turned.png", 1, agree=True)
        == copies.DIFFERENT
    )
    assert (
        how_surely(tmp_path / "card.png", tmp_path / "turned.png", 8, agree=True)
        != copies.DIFFERENT
    )


def test_what_cannot_be_read_any_more_is_left_as_it_was(tmp_path):
    star(71, 5).save(tmp_path / "star.png")
    (tmp_path / "text.png").write_text("no picture")
    assert how_surely(tmp_path / "star.png", tmp_path / "gone.png", 1, agree=True) == copies.SAME
    assert how_surely(tmp_path / "text.png", tmp_path / "star.png", 1, agree=True) == copies.SAME


def test_what_is_close_gives_way_to_what_is_exact():
    def kept(**sure):
        pairs = [tuple(map(int, name[1:])) for name in sure]
        ends = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
        same = without_contradictions(*ends, np.array(list(sure.values()), np.int8))
        return {pair for pair, one in zip(pairs, same, strict=True) if one}

    exact, close, same = copies.EXACT, copies.CLOSE, copies.SAME
    # 1 is a copy of 2, and so it is none of 0, which 2 is not one with.
    assert kept(_01=close, _12=exact) == {(1, 2)}
    assert kept(_12=exact, _20=close) == {(1, 2)}
    assert kept(_01=close, _12=exact, _02=close) == {(0, 1), (1, 2), (0, 2)}
    assert kept(_01=close, _12=close) == {(0, 1), (1, 2)}
    assert kept(_01=same, _12=exact) == {(0, 1), (1, 2)}
    assert kept(_01=copies.DIFFERENT) == set()


def test_a_file_of_the_same_size_is_no_crop():
    image = Image.new("RGB", (192, 192), "white")
    ImageDraw.Draw(image).polygon([(20, 20), (170, 60), (90, 170)], fill="black")
    whole = np.asarray(image)[np.newaxis]
    part = np.asarray(image.crop((0, 0, 180, 180)).resize((192, 192), LANCZOS))[np.newaxis]
    loss = np.zeros(1, np.float32)

    def how(first, second):
        return how_same(whole, part, np.array([[first, second]]), loss, 1)[0]

    assert how((192, 192), (180, 180)) == CROPPED
    assert how((192, 192), (192, 192)) == DIFFERENT
    assert how_same(whole, whole, np.array([[(192, 192), (192, 192)]]), loss, 1)[0] == WHOLE


def test_pairs_with_nearly_equal_thumbnails_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    base = rng.integers(20, 230, (60, 256)).astype(float)
    noise = rng.choice([0.5, 2.0, 8.0], (240, 1)) * rng.standard_normal((240, 256))
    cells = np.clip(np.repeat(base, 4, axis=0) + noise, 0, 255).astype(np.uint8)
    drawn = rng.random(240) < 0.5
    off = cells[:, np.newaxis].astype(float) - cells
    distance = np.sqrt((off**2).mean(axis=2))
    expected = {(i, j) for i, j in np.argwhere(distance <= MOST).tolist() if i != j and drawn[i]}
    assert len(expected) > 20
    one, other = pairs_of_cells(cells, drawn)
    assert set(zip(one.tolist(), other.tolist(), strict=True)) == expected


def test_of_many_empty_pictures_a_few_are_compared():
    cells = np.full((1000, 256), 255, np.uint8)
    one, _ = pairs_of_cells(cells, np.ones(1000, bool))
    assert len(one) == 1000 * NEAREST
    assert len(pairs_of_cells(cells, np.zeros(1000, bool))[0]) == 0


@pytest.mark.nightly
def test_copies_of_fine_drawings_are_found_among_many_that_are_nearly_alike(
    db, embedded_model, tmp_path
):
    for points in range(61, 85):
        star(points, 5).save(tmp_path / f"{points}.png")
    for points in (71, 75):
        star(points, 5).save(tmp_path / f"{points}-jpeg.jpg", quality=30)
        star(points, 5).resize((50, 50), LANCZOS).save(tmp_path / f"{points}-small.png")
    own = db.collection("stars", model=embedded_model)
    own.add(tmp_path)
    groups = own.duplicates.find(tier="near-duplicate")
    names = [{image.path.stem for image in (group.keep, *group.duplicates)} for group in groups]
    assert sorted(names, key=min) == [
        {"71", "71-jpeg", "71-small"},
        {"75", "75-jpeg", "75-small"},
    ]


def test_cells_are_means():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    assert cells_of(pixels)[1, 17] == round(grey[1, 6:12, 6:12].mean())
