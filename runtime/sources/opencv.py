"""OpenCV with its own messages off: what is wrong with a camera or a video is ours to say."""

import os

# FFmpeg's log level "quiet"; OpenCV reads it when the first video is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# Seconds that a USB camera may give nothing: the driver's own ten, ten times over, are too long.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")

import cv2

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

__all__ = ["cv2"]
