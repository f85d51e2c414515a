#!/bin/sh
# The full ResNet50 on two processor cores: four to five hours if they have nothing else to do.
# Teachers first, then the student at 64 pixels, three times at 128, and once at 144, where it is shown
# views that differ more. Run from the repository's root.
set -e
out=outputs/resnet50

for size in 128 144; do
  birdedge train +experiment=default_probe "preprocess.input_size=[$size,$size]" \
    hydra.run.dir=$out/teacher-$size
done

previous=null
while read -r run size epochs lr; do
  birdedge train +experiment=resnet50 "preprocess.input_size=[$size,$size]" data.workers=1 \
    trainer.epochs="$epochs" optimizer.lr="$lr" model.init_from=$previous \
    "distill.teachers=[$out/teacher-128/checkpoint.safetensors]" hydra.run.dir=$out/"$run" </dev/null
  previous=$out/$run/checkpoint.safetensors
done <<END
64px 64 50 0.001
128px 128 10 0.0005
128px-longer 128 32 0.0007
128px-longest 128 60 0.0007
END

birdedge train +experiment=resnet50 "preprocess.input_size=[144,144]" data.workers=1 \
  model.init_from=$previous trainer.epochs=40 optimizer.lr=0.0007 optimizer.weight_decay=0.03 \
  augment.cutmix=1.0 augment.min_scale=0.35 trainer.ema_decay=0.998 trainer.monitor=val/loss \
  "distill.teachers=[$out/teacher-144/checkpoint.safetensors]" hydra.run.dir=$out/full-144
python -m birdedge.train.half $out/full-144/checkpoint.safetensors models/resnet50-cub100.safetensors
python -m birdedge.benchmarks.curve $out/64px $out/128px $out/128px-longer \
  --out docs/results/resnet50/curve.png
python -m birdedge.benchmarks.curve $out/128px-longest --out docs/results/resnet50/curve-longest.png
python -m birdedge.benchmarks.curve $out/full-144 --out docs/results/resnet50/curve-144.png
