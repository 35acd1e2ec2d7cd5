"""Stable Diffusion XL: a UNet with two text encoders that is told sizes."""
