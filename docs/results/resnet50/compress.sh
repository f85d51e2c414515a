#!/bin/sh
# The ResNet50 of train.sh, whole and pruned, with all six targets, and what each is worth: about
# forty minutes on two cores. Run from the repository's root.
set -e
full=models/resnet50-cub100.safetensors
bundles=outputs/bundles

birdedge compress $full --targets all --max-drop 1.5 --out $bundles/resnet50
for macs in 0.7 0.5 0.35 0.25; do
  birdedge compress $full --macs $macs --recover trainer.epochs=6 --recover data.workers=1 \
    --recover trainer.ema_decay=0.9 --targets all --max-drop 1.5 --out $bundles/resnet50-$macs
done
python -m birdedge.benchmarks.compression $full $bundles/resnet50 $bundles/resnet50-0.7 \
  $bundles/resnet50-0.5 $bundles/resnet50-0.35 $bundles/resnet50-0.25 --out docs/results/resnet50
