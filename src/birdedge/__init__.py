"""birdedge names birds with small computers.

>>> import birdedge
>>> classifier = birdedge.load()
>>> classifier.classify(birdedge.read_image("bird.jpg")).name
'Blue Jay'
"""

__version__ = "0.1.0"
