"""What a sensor gathers while the picture and things in front of it move: the mean of many frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from uml_in_arch.data.camera_path import frames_needed, path_length, poses, rectangle, translation

# the mean of bilinear frames is softer than any of them, also across the motion; of a picture twice as fine, hardly
FINER = 2
HALFWAY = np.array([-1, 9, 9, -1], dtype=np.float32) / 16  # Catmull and Rom's cubic in the middle of four pixels
WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class Window(NamedTuple):
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def corners(self) -> np.ndarray:
        """(4, 2), x and y, seen from the window's own first pixel."""
        return rectangle(0, 0, self.width - 1, self.height - 1)


@dataclass(frozen=True)
class Layer:
    """The background, or a thing before it.

    Attributes:
        light: float32 (h, w, 4): light times cover, and the cover, 0 to 1.
        left: Where its first pixel is, seen from the window's.
        top: Likewise.
        motion: See `camera_path`, in pixels of the window.
        reach: The farthest that any of it moves from its place in the sharp picture, in pixels.
    """

    light: np.ndarray
    left: int
    top: int
    motion: np.ndarray
    reach: int

    def place_in(self, window: Window) -> Window:
        """The part of the window that it ever touches; empty where it stays outside."""
        height, width = self.light.shape[:2]
        top = min(max(0, self.top - self.reach), window.height)
        left = min(max(0, self.left - self.reach), window.width)
        bottom = max(top, min(window.height, self.top + height + self.reach))
        right = max(left, min(window.width, self.left + width + self.reach))
        return Window(top, left, bottom - top, right - left)


def exposed(background: Layer, things: list[Layer], window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Look through a window at layers where the sharp picture has them, and during the exposure.

    Args:
        background: Covers the window and everything that moves into it.
        things: Before it, the nearest last.
        window: The part of the picture; its position plays no part.

    Returns:
        The sharp frame, and the mean of all frames; equal where nothing moves. Both float32 (H, W, 3) light.
    """
    views = [_View(layer, layer.place_in(window)) for layer in (background, *things)]
    views = [view for view in views if view.place.height and view.place.width]
    frames = frames_needed([view.path_length for view in views])
    sharp = _frame(views, [np.eye(3)] * len(views))
    if frames == 1:
        return sharp[..., :3], sharp[..., :3]
    total = np.zeros_like(sharp)
    for moment in zip(*(poses(view.layer.motion, frames) for view in views), strict=True):
        cv2.accumulate(_frame(views, moment), total)
    return sharp[..., :3], total[..., :3] / frames


class _View:
    """A layer, twice as fine, and the part of the window where it is seen."""

    def __init__(self, layer: Layer, place: Window) -> None:
        self.layer = layer
        self.place = place
        self.fine = _twice_as_fine(layer.light)
        self.into_fine = np.diag([FINER, FINER, 1]) @ translation(-layer.left, -layer.top)
        self.into_window = translation(place.left, place.top)

    @property
    def path_length(self) -> float:
        return path_length(self.layer.motion, self.place.corners + (self.place.left, self.place.top))

    def at(self, pose: np.ndarray) -> np.ndarray:
        """What is seen in the place at a pose: float32 (h, w, 4)."""
        sides = (self.place.width, self.place.height)
        return cv2.warpPerspective(self.fine, self.into_fine @ pose @ self.into_window, sides, flags=WARP)


def _frame(views: list[_View], moment: Sequence[np.ndarray]) -> np.ndarray:
    """All layers at one moment, the first below: float32 (H, W, 4)."""
    picture = views[0].at(moment[0])
    for view, pose in zip(views[1:], moment[1:], strict=True):
        top, left, height, width = view.place
        thing, below = view.at(pose), picture[top : top + height, left : left + width]
        below *= cv2.merge([1 - cv2.extractChannel(thing, 3)] * 4)
        below += thing
    return picture


def _twice_as_fine(light: np.ndarray) -> np.ndarray:
    """(h, w, 4) to (2h, 2w, 4); pixel i becomes pixel 2i, unchanged."""
    height, width = light.shape[:2]
    fine = np.empty((2 * height, 2 * width, 4), dtype=np.float32)
    fine[::2, ::2] = light
    fine[::2, 1::2] = cv2.filter2D(light, -1, HALFWAY[None], anchor=(1, 0), borderType=cv2.BORDER_REFLECT_101)
    between = cv2.filter2D(fine[::2], -1, HALFWAY[:, None], anchor=(0, 1), borderType=cv2.BORDER_REFLECT_101)
    fine[1::2] = between
    return fine
