#!/bin/sh
# The whole ResNet50, and the one that kept.sh pruned to a fifth, in all six targets: five minutes on two
# cores, and nothing is trained. Run from the repository's root.
set -e
bundles=outputs/bundles

for name in resnet50 resnet50-pruned; do
  birdedge compress models/$name-cub100.safetensors --targets all --max-drop 1.5 \
    --out $bundles/$name --force
done
python -m birdedge.benchmarks.compression models/resnet50-cub100.safetensors $bundles/resnet50 \
  $bundles/resnet50-pruned --out $bundles/resnet50-figures
