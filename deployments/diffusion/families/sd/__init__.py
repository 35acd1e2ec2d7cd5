"""Stable Diffusion 1.x and 2.x: a UNet with one text encoder."""
