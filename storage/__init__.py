"""Where results are kept: object stores, and the images and recipes in them."""
