"""Names of the attributes that image files tell of themselves."""

TAKEN_AT = "taken_at"

FACTS = (TAKEN_AT, "camera", "format", "width", "height", "file_size", "folder")
"""The attributes that `add` sets with `facts`."""

LOCATION = ("latitude", "longitude")
"""The attributes that it sets only with `location`, too."""

TEXTS = frozenset({TAKEN_AT, "camera", "format", "folder"})
"""Those that are texts; the others are numbers."""

FactValue = str | int | float

MAX_FACT = 255
"""Longer texts are cut, to this many characters."""

MAX_NUMBER = 2**53
