"""Ways to answer a prompt with any language model."""
