#!/bin/sh
# The ResNet50 of train.sh, whole and pruned, with all six targets, and what each is worth: three and a
# half hours on two cores. Run from the repository's root, after the first command of train.sh, which
# makes the teacher.
set -e
full=models/resnet50-cub100.safetensors
bundles=outputs/bundles

birdedge compress $full --targets all --max-drop 1.5 --out $bundles/resnet50
while read -r macs epochs lr ema; do
  birdedge compress $full --macs "$macs" --targets all --max-drop 1.5 --recover data.workers=1 \
    --recover "distill.teachers=[outputs/resnet50/teacher/checkpoint.safetensors]" \
    --recover trainer.epochs="$epochs" --recover optimizer.lr="$lr" \
    --recover trainer.ema_decay="$ema" --work $bundles/resnet50-"$macs".work \
    --out $bundles/resnet50-"$macs" </dev/null
done <<END
0.5 4 0.0005 0.9
0.3 50 0.001 0.99
0.2 50 0.001 0.99
END
# What is left of it at 20 %, trained on and kept at half its size: pruned.sh begins with it.
birdedge train +experiment=resnet50 "preprocess.input_size=[128,128]" data.workers=1 \
  model.init_from=$bundles/resnet50-0.2.work/recovered/checkpoint.safetensors trainer.epochs=60 \
  optimizer.lr=0.001 optimizer.weight_decay=0.02 \
  "distill.teachers=[outputs/resnet50/teacher/checkpoint.safetensors]" \
  hydra.run.dir=outputs/resnet50/pruned-longer
python -m birdedge.train.half outputs/resnet50/pruned-longer/checkpoint.safetensors \
  models/resnet50-pruned-cub100.safetensors
python -m birdedge.benchmarks.compression $full $bundles/resnet50 $bundles/resnet50-0.5 \
  $bundles/resnet50-0.3 $bundles/resnet50-0.2 --out docs/results/resnet50
