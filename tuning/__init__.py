"""Models before they are submitted: selecting rows, training, merging, quantising; the package never imports this."""
