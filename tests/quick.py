"""Settings of a training that is over in seconds."""

QUICK = (
    "trainer.epochs=1", "trainer.accelerator=cpu", "trainer.precision=32-true",
    "data.batch_size=16", "data.workers=0", "wandb.mode=disabled",
)  # fmt: skip
