"""A trained network made small: export, quantize, verify, package."""
