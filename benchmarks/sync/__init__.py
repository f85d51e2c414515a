"""What it costs to bring a model to a device, and what a kill or a swap on the way can do to it.

python -m birdedge.benchmarks.sync costs
python -m birdedge.benchmarks.sync kills --times 200
python -m birdedge.benchmarks.sync swap

Each device is a folder, each sync a real `birdedge sync`, and each repository a web server on this
machine: its lines add neither TLS nor a cloud's longer headers, which are not in the figures.
"""
