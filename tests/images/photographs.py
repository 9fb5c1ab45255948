"""Images whose headers tell what the tests wrote into them."""

from pathlib import Path

from PIL import ExifTags, Image

NIKON = {"make": "NIKON CORPORATION", "model": "NIKON D90"}
BERLIN = ((52.0, 31.0, 12.0), "N", (13.0, 24.0, 18.0), "E")  # 52.52, 13.405


def exif(
    *,
    taken: str | None = None,
    subsecond: str | None = None,
    offset: str | None = None,
    make: str | None = None,
    model: str | None = None,
    orientation: int | None = None,
    place: tuple[object, str, object, str] | None = None,
) -> Image.Exif:
    """EXIF data with these tags."""
    made = Image.Exif()
    tags, photo = ExifTags.Base, {}
    for tag, value in ((tags.Make, make), (tags.Model, model), (tags.Orientation, orientation)):
        if value is not None:
            made[tag] = value
    for tag, value in (
        (tags.DateTimeOriginal, taken),
        (tags.SubsecTimeOriginal, subsecond),
        (tags.OffsetTimeOriginal, offset),
    ):
        if value is not None:
            photo[tag] = value
    if photo:
        made.get_ifd(ExifTags.IFD.Exif).update(photo)
    if place:
        names = ("GPSLatitude", "GPSLatitudeRef", "GPSLongitude", "GPSLongitudeRef")
        order = (0, 1, 2, 3)
        gps = {ExifTags.GPS[names[i]]: place[i] for i in order}
        made.get_ifd(ExifTags.IFD.GPSInfo).update(gps)
    return made


def photograph(
    file: Path, size: tuple[int, int] = (40, 30), colour: str = "red", **tags: object
) -> Path:
    """Write an image with EXIF data."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = exif(**tags)
    options = {"exif": data.tobytes()} if len(data) or tags else {}
    Image.new("RGB", size, colour).save(file, **options)
    return file
