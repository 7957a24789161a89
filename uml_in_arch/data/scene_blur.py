"""Motion blur that varies over the picture: a camera that moves, turns and tilts, and things that move before it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import cv2
import numpy as np
from pydantic import ConfigDict

from uml_in_arch.data.camera_path import (
    STEPS,
    displacements,
    motion,
    rectangle,
    scale_to,
    shaken_path,
    smooth_path,
)
from uml_in_arch.data.defocus import out_of_focus
from uml_in_arch.data.exposure import Layer, Window, exposed
from uml_in_arch.data.light import light_to_levels, picture_to_light, round_to_picture
from uml_in_arch.data.outlines import draw_cover, random_outline
from uml_in_arch.data.sensor import add_noise, compress
from uml_in_arch.errors import DataError, OptionError

SharpAt = Literal["middle", "mean"]

FOLLOWING = 0.5  # share of the things that the camera's motion moves too; the others it follows, as in panning
AROUND = 2  # pixels that interpolation reads around a position
EDGE = (0.4, 0.9)  # softness of outlines: an edge of about one to two pixels


@dataclass(frozen=True, eq=False)
class SceneBlur:
    """What blur to apply. Every range is (lowest, highest), drawn uniformly for each picture; equal ends fix it.

    The blurry picture is the mean of warped copies of the sharp one, about a pixel apart (at most 96), along a path;
    ``sharp_at`` says where on it the sharp picture is. The blur varies over the picture as that of a plane far away
    does, seen by a camera that is moved and turned: parallax is not modelled. Things in front of it are random
    outlines, filled with the picture's own content under them (they show where they move only) or with another part of
    it (``pasted_share``, which changes the sharp picture too); what they uncover is the picture itself.

    Attributes:
        extent: The longest streak in the picture, in pixels: the largest side of the box around it. The square root of
            its place in the range is uniform, so weak blur is frequent: of [0, 40], half is below 10. Each thing's own
            motion is drawn likewise.
        still: Share of the pictures in which nothing moves.
        defocus_share: Share of the pictures that are out of focus besides, the sharp ones too: what the lens blurs is
            no motion, and is to be left as it is.
        defocus: Radius of the discs by which they are, in pixels.
        anxiety: How nervous the hand is that moves the camera (`uml_in_arch.data.trajectory.camera_shake`).
        unevenness: How unevenly it moves: the logarithm of its highest speed over its lowest. At 0, the model's,
            streaks have the same strength everywhere.
        sharp_at: Which moment the sharp picture shows: the ``mean`` pose, against which blur does not shift; or the
            ``middle`` of the exposure, as in GoPro, HIDE and REDS, whose sharp picture is the middle frame. They differ
            where the motion is uneven; the middle is hard to learn (docs/experiments.md, "Weights for photographs").
        exposure: Share of the hand's path during which the shutter is open, in (0, 1]: a shorter one is straighter.
        rotation: Streaks by rotation about the optical axis, at half the diagonal from it, against those by
            translation. The axis meets the picture anywhere.
        zoom: Likewise for approach.
        perspective: Likewise for the change of perspective as the camera is tilted.
        things_share: Share of the pictures with things that move by themselves.
        things: How many.
        thing_area: How much of the picture each covers, 0 to 1.
        pasted_share: Share of the things that are cut from another place of the picture.
        linear_share: Share of the pictures in which light is averaged, decoded from and encoded to sRGB; in the others
            it is the 8-bit values as they are, as in GoPro's ``blur`` folder.
        saturation: Light hidden by clipping, as in `uml_in_arch.data.blur.MotionBlur`.
        noise: Standard deviation of Gaussian noise on the blurry picture, in 8-bit levels.
        shot: What photon noise adds to it at white, likewise; its variance is proportional to the level.
        jpeg_share: Share of the blurry pictures that are compressed as JPEG.
        jpeg_quality: Of 100.

    Raises:
        OptionError: A range or share that cannot be.
    """

    extent: tuple[float, float] = (0.0, 40.0)
    still: float = 0.05
    defocus_share: float = 0.0
    defocus: tuple[float, float] = (1.0, 5.0)
    anxiety: tuple[float, float] = (0.0005, 0.005)
    unevenness: tuple[float, float] = (0.0, 2.0)
    sharp_at: SharpAt = "mean"
    exposure: tuple[float, float] = (0.3, 1.0)
    rotation: tuple[float, float] = (0.0, 1.0)
    zoom: tuple[float, float] = (0.0, 0.3)
    perspective: tuple[float, float] = (0.0, 0.3)
    things_share: float = 0.4
    things: tuple[int, int] = (1, 3)
    thing_area: tuple[float, float] = (0.05, 0.4)
    pasted_share: float = 0.5
    linear_share: float = 0.5
    saturation: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] = (0.0, 0.0)
    shot: tuple[float, float] = (0.0, 0.0)
    jpeg_share: float = 0.0
    jpeg_quality: tuple[int, int] = (60, 95)

    # read by pydantic where this class is part of an option model
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        limits = {"extent": (0, 500), "anxiety": (0, 1), "exposure": (0.01, 1), "rotation": (0, 1000)}
        limits |= {"zoom": (0, 1000), "perspective": (0, 1000), "things": (1, 20), "thing_area": (0.001, 1)}
        limits |= {"unevenness": (0, 10), "defocus": (0, 50), "saturation": (0, 100), "noise": (0, 255)}
        limits |= {"shot": (0, 255), "jpeg_quality": (1, 100)}
        for name, (lowest, highest) in limits.items():
            low, high = getattr(self, name)
            if not lowest <= low <= high <= highest:
                raise OptionError(f"scene {name} is [{low}, {high}]: give [lowest, highest] within {lowest}..{highest}")
        if self.sharp_at not in get_args(SharpAt):
            raise OptionError(f"scene sharp_at is {self.sharp_at!r}: give one of {', '.join(get_args(SharpAt))}")
        for name in ("still", "defocus_share", "things_share", "pasted_share", "linear_share", "jpeg_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"scene {name} is {getattr(self, name)}: give a share from 0 to 1")

    def apply(
        self, image: np.ndarray, rng: np.random.Generator, window: Window | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Blur a picture, or a part of it, with newly drawn motion.

        Args:
            image: uint8 RGB, (H, W, 3). Outside there is its mirror image.
            rng: Decides everything that is random; the same state gives the same pixels.
            window: Do so to this part only, with what moves into it from around it; ``extent`` and ``thing_area`` are
                the window's.

        Returns:
            The sharp and the blurry picture, uint8, both of the window's size.

        Raises:
            DataError: Another type or shape.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(f"Cannot blur an array of {image.dtype} and shape {image.shape}: give uint8, (H, W, 3)")
        window = window or Window(0, 0, *image.shape[:2])
        if self.defocus_share and rng.random() < self.defocus_share:  # no draw without it: seeds keep their pictures
            image = out_of_focus(image, rng.uniform(*self.defocus))
        space = "linear" if rng.random() < self.linear_share else "gamma"
        hidden_light = rng.uniform(*self.saturation)
        sharp = image[window.top : window.top + window.height, window.left : window.left + window.width]
        if rng.random() < self.still:
            return sharp.copy(), self._record(sharp.astype(np.float32), rng)

        camera = self._draw_camera(rng, window)
        plans = self._draw_things(rng, window, camera)
        reach = max([_reach(camera, window.corners), *(plan.reach for plan in plans)])
        light = picture_to_light(_cut(image, window, reach), space, hidden_light)
        background = Layer(_opaque(light), -reach, -reach, camera, reach)
        things = []
        for plan in plans:
            content = light
            if plan.pasted:
                top, left = (int(rng.integers(side)) for side in image.shape[:2])
                elsewhere = window._replace(top=top - window.height // 2, left=left - window.width // 2)
                content = picture_to_light(_cut(image, elsewhere, reach)[:, ::-1], space, hidden_light)
            things.append(_fill(plan, content, reach, rng.uniform(*EDGE)))
        at_rest, mean = exposed(background, things, window)
        if any(plan.pasted for plan in plans):
            sharp = round_to_picture(light_to_levels(at_rest, space))
        return sharp.copy(), self._record(light_to_levels(mean, space), rng)

    def _record(self, levels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image = round_to_picture(add_noise(levels, rng.uniform(*self.noise), rng.uniform(*self.shot), rng))
        if rng.random() < self.jpeg_share:
            image = compress(image, int(rng.integers(*self.jpeg_quality, endpoint=True)), rng)
        return image

    def _draw_extent(self, rng: np.random.Generator) -> float:
        low, high = self.extent
        return low + (high - low) * rng.random() ** 2

    def _draw_camera(self, rng: np.random.Generator, window: Window) -> np.ndarray:
        drawn = motion(
            shift=shaken_path(
                rng, rng.uniform(*self.anxiety), rng.uniform(*self.exposure), rng.uniform(*self.unevenness)
            ),
            turn=rng.uniform(*self.rotation) * smooth_path(rng),
            zoom=rng.uniform(*self.zoom) * smooth_path(rng),
            tilt=rng.uniform(*self.perspective) * (smooth_path(rng) + 1j * smooth_path(rng)),
            centre=(rng.uniform(0, window.width), rng.uniform(0, window.height)),
            radius=math.hypot(window.width, window.height) / 2,
        )
        return self._placed(scale_to(drawn, window.corners, self._draw_extent(rng)))

    def _placed(self, moving: np.ndarray) -> np.ndarray:
        return moving - moving[STEPS // 2] if self.sharp_at == "middle" else moving

    def _draw_things(self, rng: np.random.Generator, window: Window, camera: np.ndarray) -> list[_Plan]:
        if rng.random() >= self.things_share:
            return []
        return [self._draw_thing(rng, window, camera) for _ in range(int(rng.integers(*self.things, endpoint=True)))]

    def _draw_thing(self, rng: np.random.Generator, window: Window, camera: np.ndarray) -> _Plan:
        area = rng.uniform(*self.thing_area) * window.width * window.height
        centre = (rng.uniform(0, window.width), rng.uniform(0, window.height))
        outline = random_outline(rng, area) + centre
        corners = rectangle(*outline.min(axis=0), *outline.max(axis=0))
        own = motion(
            shift=smooth_path(rng) * np.exp(2j * np.pi * rng.random()) + 0.3 * rng.random() * 1j * smooth_path(rng),
            turn=rng.uniform(0, 0.5) * smooth_path(rng),
            zoom=rng.uniform(0, 0.3) * smooth_path(rng),
            tilt=np.zeros(STEPS, dtype=complex),
            centre=centre,
            radius=math.sqrt(area),
        )
        moving = self._placed(scale_to(own, corners, self._draw_extent(rng)))
        if rng.random() < FOLLOWING:
            moving = moving + camera
        return _Plan(outline, moving, _reach(moving, corners), bool(rng.random() < self.pasted_share))


class _Plan(NamedTuple):
    """A thing before it is drawn: its outline in pixels of the window, motion, reach, and whether it is pasted."""

    outline: np.ndarray
    motion: np.ndarray
    reach: int
    pasted: bool


def _reach(moving: np.ndarray, corners: np.ndarray) -> int:
    return math.ceil(np.abs(displacements(moving, corners)).max()) + AROUND


def _cut(image: np.ndarray, window: Window, margin: int) -> np.ndarray:
    """The window and ``margin`` pixels around it, mirrored where the picture ends."""
    height, width = image.shape[:2]
    top, left = window.top - margin, window.left - margin
    bottom, right = window.top + window.height + margin, window.left + window.width + margin
    inside = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    outside = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    return cv2.copyMakeBorder(inside, *outside, cv2.BORDER_REFLECT_101)


def _fill(plan: _Plan, content: np.ndarray, margin: int, softness: float) -> Layer:
    """Cut a thing out of ``content``, which has ``margin`` more pixels than the window on each side."""
    soft = math.ceil(4 * softness)
    height, width = content.shape[:2]
    left, top = (max(0, int(first) + margin - soft) for first in np.floor(plan.outline.min(axis=0)))
    right, bottom = (int(last) + margin + soft + 1 for last in np.ceil(plan.outline.max(axis=0)))
    content = content[top : min(height, bottom), left : min(width, right)]
    cover = draw_cover(plan.outline + margin - (left, top), *content.shape[:2], softness)[..., None]
    light = np.concatenate([content * cover, cover], axis=2)
    return Layer(light, left - margin, top - margin, plan.motion, plan.reach)


def _opaque(light: np.ndarray) -> np.ndarray:
    return np.concatenate([light, np.ones((*light.shape[:2], 1), dtype=np.float32)], axis=2)
