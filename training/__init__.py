"""Training of the bundled demo weights: data, autoencoder, text-conditioned UNet, ControlNet.

Lives in the repository, outside the wheel: the service never imports it.
"""
