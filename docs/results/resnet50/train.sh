#!/bin/sh
# The full ResNet50 on two processor cores: about an hour and a half if they have nothing else to do.
# A teacher first, then the student at 64 and at 128 pixels. Run from the repository's root.
set -e
out=outputs/resnet50

birdedge train +experiment=default_probe "preprocess.input_size=[128,128]" \
  hydra.run.dir=$out/teacher

previous=null
for stage in 64:50:0.001 128:10:0.0005; do
  IFS=: read -r size epochs lr <<END
$stage
END
  birdedge train +experiment=resnet50 "preprocess.input_size=[$size,$size]" data.workers=1 \
    trainer.epochs="$epochs" optimizer.lr="$lr" model.init_from=$previous \
    "distill.teachers=[$out/teacher/checkpoint.safetensors]" hydra.run.dir=$out/$size
  previous=$out/$size/checkpoint.safetensors
done

python -m birdedge.train.half $previous models/resnet50-cub100.safetensors
python -m birdedge.benchmarks.curve $out/64 $out/128 --out docs/results/resnet50/curve.png
