"""The cloud side of model sync: who signs, what is published, and what the fleet reports back."""
