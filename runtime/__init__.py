"""All that a Raspberry Pi installs. Nothing here imports torch."""
