"""Make the pictures of ``examples/products`` again, from the package they came from.

    python examples/make_products.py DEBIAN

DEBIAN  the folder in which ``dpkg -x`` unpacked the Debian 12 package openclipart-png

Pillow must be installed. Authors and licence: ``products/SOURCES.md``.
"""

import argparse
import csv
from pathlib import Path

from PIL import Image, ImageChops

PRODUCTS = Path(__file__).parent / "products"
LONG_SIDE = 300
MARGIN = 0.06

# The picture of each product of products.csv, below usr/share/openclipart/png/people/clothing.
SOURCES = {
    "bags/suitcases.jpg": "../../containers/valigie_bags_architetto__01.png",
    "hats/adventurer.jpg": "adventurer_hat_nicu_bucu_01.png",
    "hats/aussie.jpg": "hats/aussie_hat_01.png",
    "hats/baseball-cap.jpg": "hats/baseball_cap_ganson.png",
    "hats/baseball-cap-white.jpg": "hats/baseball_cap_bw_ganson.png",
    "hats/boater-purple.jpg": "hats/purple_hat_nicu_buculei_01.png",
    "hats/bobble.jpg": "winter_hat_nathan_eady_01.png",
    "hats/cap-blue.jpg": "hats/hat_-_clothing_nicu_bucu_02.png",
    "hats/cowboy.jpg": "hats/hat_-_clothing_nicu_bucu_01.png",
    "hats/fedora-blue.jpg": "hats/blue_fedora.png",
    "hats/fedora-red.jpg": "hats/red_fedora.png",
    "hats/fez.jpg": "hats/hat_-_clothing_nicu_bucu_04.png",
    "hats/party-blue.jpg": "hats/hat_01.png",
    "hats/party-pink.jpg": "hats/hat_02.png",
    "hats/slouch.jpg": "hats/slouch_hat_01.png",
    "hats/sombrero.jpg": "hats/sombrero_dave_pena_01.png",
    "hats/top-hat.jpg": "tophat_benji_park_01.png",
    "hats/top-hat-purple.jpg": "hats/hat_-_clothing_nicu_bucu_03.png",
    "hats/top-hat-silk.jpg": "hats/hat_-_clothing_nicu_bucu_05.png",
    "jewellery/chain.jpg": "gold_chain_of_round_lin_01.png",
    "jewellery/crown.jpg": "hats/simple_crown_with_three_01.png",
    "jewellery/crown-jewels.jpg": "hats/bejewelled_crown_with_t_01.png",
    "jewellery/crown-plain.jpg": "hats/simple_crown_with_one_r_01.png",
    "jewellery/rings.jpg": "jewelry/wedding_rings_jarno_vas_.png",
    "shirts/silk.jpg": "camicia_in_seta_architet_01.png",
    "shirts/t-shirt-black.jpg": "t-shirt_01.png",
    "shirts/t-shirt-blue.jpg": "t-shirt_03.png",
    "shirts/t-shirt-print.jpg": "t-shirt_02.png",
    "shoes/flip-flops.jpg": "thongs_01.png",
    "shoes/hiking-boot.jpg": "hiking_boot_jarno_vasama_.png",
    "shoes/ice-skate.jpg": "pattino_architetto_franc_01.png",
    "shoes/sandals.jpg": "feet_in_sandals_jonadab__01.png",
    "shoes/tennis-shoe.jpg": "tennis_shoe_jarno_vasama_.png",
    "shoes/tennis-shoes.jpg": "tennis_shoes_jarno_vasam_.png",
    "other/bow-tie.jpg": "tie_-_clothing_nicu_bucu_01.png",
    "other/mitten.jpg": "mitten_nathan_eady_01.png",
    "other/shorts.jpg": "wild_summer_shorts_natha_01.png",
    "other/sunglasses.jpg": "sunglasses_01.png",
}


def on_white(picture: Image.Image) -> Image.Image:
    """The picture alone on white, with a margin."""
    picture = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    box = ImageChops.invert(white.convert("L")).point(lambda grey: 255 * (grey > 8)).getbbox()
    cut = white.crop(box)
    margin = round(MARGIN * max(cut.size))
    framed = Image.new("RGB", (cut.width + 2 * margin, cut.height + 2 * margin), "white")
    framed.paste(cut, (margin, margin))
    framed.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return framed


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of examples/products again.")
    parser.add_argument("debian", type=Path, help="folder in which dpkg -x unpacked the package")
    share = parser.parse_args().debian / "usr/share/openclipart/png/people/clothing"
    for name, source in SOURCES.items():
        target = PRODUCTS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        on_white(Image.open(share / source)).save(target, quality=85, optimize=True)
    with (PRODUCTS / "products.csv").open(encoding="utf-8", newline="") as lines:
        listed = {row["path"] for row in csv.DictReader(lines)}
    assert listed == set(SOURCES), listed ^ set(SOURCES)


if __name__ == "__main__":
    main()
