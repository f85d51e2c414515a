#!/bin/sh
# The ResNet50 of train.sh at four levels, with all six targets each, and what each is worth: the two of
# pruned.sh, and two that are pruned here and trained back for a few epochs. Run from the repository's
# root, after train.sh's first commands, which make the teachers.
set -e
full=models/resnet50-cub100.safetensors
bundles=outputs/bundles

sh docs/results/resnet50/pruned.sh
for macs in 0.5 0.3; do
  birdedge compress $full --macs $macs --targets all --max-drop 1.5 --recover data.workers=1 \
    --recover "distill.teachers=[outputs/resnet50/teacher-144/checkpoint.safetensors]" \
    --recover trainer.epochs=8 --recover optimizer.lr=0.0005 --recover trainer.ema_decay=0.99 \
    --work $bundles/resnet50-$macs.work --out $bundles/resnet50-$macs --force
done
python -m birdedge.benchmarks.compression $full $bundles/resnet50 $bundles/resnet50-0.5 \
  $bundles/resnet50-0.3 $bundles/resnet50-pruned --out docs/results/resnet50
