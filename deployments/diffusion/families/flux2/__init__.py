"""FLUX.2 klein: a transformer that edits pictures it is shown, with a language model for texts."""
