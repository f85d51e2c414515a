"""OpenCV with its own messages off: what is wrong with a camera or a video is ours to say."""

import os

# FFmpeg's log level "quiet"; OpenCV reads it when the first video is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# Seconds that a USB camera may give nothing: the driver's own ten, ten times over, are too long.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")

# Releases 4 and 5 have different functions for it.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2

__all__ = ["cv2"]
