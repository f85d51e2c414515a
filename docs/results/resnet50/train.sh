#!/bin/sh
# The full ResNet50 on two processor cores: about two hours. A teacher first, then the student at
# 64, 128 and 224 pixels, each size going on from the one before. Run from the repository's root.
set -e
out=outputs/resnet50

birdedge train +experiment=default_probe "preprocess.input_size=[128,128]" \
  hydra.run.dir=$out/teacher

previous=null
for stage in 64:50:0.001 128:10:0.0005 224:1:0.0001; do
  IFS=: read -r size epochs lr <<END
$stage
END
  birdedge train +experiment=resnet50 "preprocess.input_size=[$size,$size]" data.workers=1 \
    trainer.epochs="$epochs" optimizer.lr="$lr" model.init_from=$previous \
    "distill.teachers=[$out/teacher/checkpoint.safetensors]" hydra.run.dir=$out/$size
  previous=$out/$size/checkpoint.safetensors
done
