"""What a user may ask of the images of a folder, a zip or an npz, before they are one array."""

from typing import Literal, Self, get_args

from PIL import ImageColor
from pydantic import BaseModel, ConfigDict, field_validator

from gan_nas.data.resizing import Resize, check_resize
from gan_nas.errors import InvalidInput

Crop = Literal["center", "none"]
CROPS: tuple[Crop, ...] = get_args(Crop)


class Preparation(BaseModel):
    """How images become squares of one side; it is part of a run's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: Crop | None = None
    """center: take the largest centred square. none: squeeze what is not square. If absent, images
    of one size are cropped where they are not square, and those of several sizes are refused."""
    resize: Resize | None = None
    """Filter that brings images to a side; if absent, the papers' bilinear (digits: box)."""
    background: str = "#ffffff"
    """Colour under transparent pixels: a name or #rrggbb."""
    skip_odd: bool = False
    """Leave out the files that are not like the others or cannot be read, in place of refusing."""

    @field_validator("background")
    @classmethod
    def _is_colour(cls, value: str) -> str:
        red, green, blue = ImageColor.getrgb(value)[:3]
        return f"#{red:02x}{green:02x}{blue:02x}"

    @classmethod
    def of(
        cls,
        crop: str | None = None,
        resize: str | None = None,
        background: str | None = None,
        skip_odd: bool = False,
    ) -> Self:
        """Check what was asked for; raises InvalidInput with what is allowed."""
        if crop is not None and crop not in CROPS:
            raise InvalidInput(f"unknown crop {crop!r}; allowed are center and none")
        chosen = None if resize is None else check_resize(resize)
        try:
            ImageColor.getrgb(background or "white")
        except ValueError as error:
            raise InvalidInput(
                f"unknown background {background!r}; name a colour, such as white or #808080"
            ) from error
        given = {} if background is None else {"background": background}
        return cls.model_validate({"crop": crop, "resize": chosen, "skip_odd": skip_odd, **given})

    @property
    def changes_files(self) -> bool:
        """Tell whether anything is asked for that only image files can be given."""
        return self.model_copy(update={"resize": None}) != Preparation()
