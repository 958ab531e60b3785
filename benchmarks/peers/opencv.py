"""OpenCV's imdecode and imencode."""

import cv2
import numpy

from benchmarks.peers.serve import serve

cv2.setNumThreads(1)


def convert(data: bytes) -> bytes:
    return bytes(cv2.imencode(".png", cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_COLOR))[1])


serve(convert)
