#!/bin/sh
# The full ResNet50 on two processor cores: three to four hours if they have nothing else to do.
# A teacher first, then the student at 64 pixels and, three times, at 128. Run from the repository's
# root.
set -e
out=outputs/resnet50

birdedge train +experiment=default_probe "preprocess.input_size=[128,128]" \
  hydra.run.dir=$out/teacher

previous=null
while read -r run size epochs lr; do
  birdedge train +experiment=resnet50 "preprocess.input_size=[$size,$size]" data.workers=1 \
    trainer.epochs="$epochs" optimizer.lr="$lr" model.init_from=$previous \
    "distill.teachers=[$out/teacher/checkpoint.safetensors]" hydra.run.dir=$out/"$run" </dev/null
  previous=$out/$run/checkpoint.safetensors
done <<END
64px 64 50 0.001
128px 128 10 0.0005
128px-longer 128 32 0.0007
128px-longest 128 60 0.0007
END

python -m birdedge.train.half "$previous" models/resnet50-cub100.safetensors
python -m birdedge.benchmarks.curve $out/64px $out/128px $out/128px-longer \
  --out docs/results/resnet50/curve.png
python -m birdedge.benchmarks.curve $out/128px-longest --out docs/results/resnet50/curve-longest.png
