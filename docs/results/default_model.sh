#!/bin/sh
# The network that ships inside birdedge, made anew: the bundle inside, and one with all six targets.
# Run from the repository's root, with the weights where configs/experiment/default_probe.yaml says.
set -e
for name in twin full; do
  val_fraction=$([ $name = twin ] && echo 0.1 || echo 0)
  birdedge train +experiment=default_probe data.val_fraction=$val_fraction \
    hydra.run.dir=outputs/probe-$name
  birdedge train +experiment=default_model data.val_fraction=$val_fraction \
    hydra.run.dir=outputs/default-$name \
    model.init_from=outputs/probe-$name/checkpoint.safetensors \
    "distill.teachers=[outputs/probe-$name/checkpoint.safetensors]"
done
full=outputs/default-full/checkpoint.safetensors
twin=outputs/default-twin/checkpoint.safetensors
birdedge compress $full --twin $twin --mirror --targets onnx-int8 --out runtime/default_model --force
birdedge compress $full --twin $twin --mirror --targets all \
  --out outputs/bundles/default-model --force
