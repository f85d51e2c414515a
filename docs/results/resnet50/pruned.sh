#!/bin/sh
# The ResNet50 that compress.sh pruned to 20 % of its multiply-adds and kept, in all six targets,
# next to the whole one: six minutes on two cores, and nothing is trained. Run from the repository's
# root.
set -e
full=models/resnet50-cub100.safetensors
bundles=outputs/bundles

birdedge compress $full --targets all --max-drop 1.5 --out $bundles/resnet50
birdedge compress models/resnet50-pruned-cub100.safetensors --targets all --max-drop 1.5 \
  --out $bundles/resnet50-pruned
python -m birdedge.benchmarks.compression $full $bundles/resnet50 $bundles/resnet50-pruned \
  --out docs/results/resnet50/pruned
